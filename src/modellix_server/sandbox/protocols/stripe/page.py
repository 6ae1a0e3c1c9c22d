"""The page on which one pays, or does not. Its styles are the platform's, where the platform shows it."""

from html import escape

from modellix_server.sandbox.protocols.stripe.objects import PaidSession

_FRAME = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<link rel="stylesheet" href="/static/tokens.css"><link rel="stylesheet" href="/static/layout.css">
<link rel="stylesheet" href="/static/components.css"></head><body>
<div class="test-bar">Payment emulator: nothing is paid, and no card is needed</div>
<main class="public" id="main"><h1>{title}</h1>{body}</main></body></html>"""
_CHOICE = """<p class="lead">{product}</p><dl class="figures"><div><dt>Total</dt><dd>{amount}</dd></div></dl>
<form method="post" class="row"><button class="main" name="do" value="pay">Pay</button>
<button name="do" value="cancel">Cancel</button></form>"""


def amount_in_words(one: PaidSession) -> str:
    """Such as `12.50 USD`."""
    return f"{one.session['amount_total'] / 100:,.2f} {one.session['currency'].upper()}"


def render(one: PaidSession) -> bytes:
    """The page of a session as it is now."""
    if one.session["status"] == "open":
        body = _CHOICE.format(product=escape(one.session["description"]), amount=amount_in_words(one))
        return _FRAME.format(title="Checkout", body=body).encode()
    words = "This was paid." if one.session["payment_status"] == "paid" else "This checkout is over."
    return _FRAME.format(title="Checkout", body=f"<p>{words}</p>").encode()
