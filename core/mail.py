"""Gives a mail to the server that is set, or says why not."""

from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage

from core.outgoing import NotDelivered


def post(mail: EmailMessage, *, uid: str) -> None:
    """Send ``mail`` under a stable id, so that a repetition can be dropped.

    Raises NotDelivered.
    """
    if not settings.EMAIL_HOST:
        raise NotDelivered("No mail server is set: set TOLLGATE_EMAIL_HOST.")
    mail.extra_headers |= {
        "Message-ID": f"<{uid}@tollgate>",
        "Auto-Submitted": "auto-generated",
    }
    try:
        mail.send()
    except (OSError, SMTPException, ValueError) as error:
        raise NotDelivered(f"The mail server did not take it: {error}") from error
