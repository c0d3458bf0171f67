"""Pictures that addresses name, made small for pages of this server; see ADR 0067.

A page knows nothing of them: it names `/pictures/<key>/<size>`. What is not there yet is asked for by the page, once,
with a mark that only this server can have made of the address, and fetched by a worker.
"""
