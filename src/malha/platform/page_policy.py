"""What a browser may do with a page of ours: the Content-Security-Policy, and its variant for a mail in a frame."""

# Pages: everything from this server, nothing inline, never framed. Images also as data: the icon set's masks.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# A page that shows a mail in a frame of this server.
FRAMING_POLICY = f"{PAGE_POLICY}; frame-src 'self'"
# The mail in it: inline styles, as mails have them, and nothing else; no script, no form, no picture from elsewhere.
FRAMED_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox"
)
