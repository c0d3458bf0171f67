"""Ports for servers that are started with one: free, and nobody else's until they are bound."""

import socket


def free_port() -> int:
    """Return a port of this machine that the kernel gives to nobody for the next minute.

    A port that was only looked up is given away again to whoever asks for any, here or in another worker of the tests,
    while its server is still starting. This one had a connection, which its own side closed: it is kept back until
    late packets cannot come any more, and only who names it, as servers do that may be started again (SO_REUSEADDR),
    can bind it.
    """
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port: int = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as asking:
            listening.accept()[0].close()
            asking.recv(1)
    return port
