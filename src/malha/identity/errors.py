"""Refusals about who someone is and what they may do."""

from malha.platform.errors import Conflict, Forbidden, MalhaError


class NotSignedIn(MalhaError):
    """No session and no key came with the request, or it is expired, revoked or wrong."""

    status = 401
    code = "not_signed_in"
    says = "This needs a signed-in person or an API key."
    mend = "Sign in, or send a valid key as `Authorization: Bearer <key>`."


class WrongCredentials(MalhaError):
    """E-mail and password do not belong together. It never says which of the two is wrong."""

    status = 401
    code = "wrong_credentials"
    says = "This e-mail and password do not match."
    mend = "Check both and try again, or ask an owner for a new password."


class TooManyAttempts(MalhaError):
    """Log-ins of this account or from this address failed too often. Waiting is the only way."""

    status = 429
    code = "too_many_attempts"
    says = "Too many log-ins failed."
    mend = "Wait {seconds} seconds and try again."


class NeedsEverywhere(Forbidden):
    """What was asked concerns all locations, and the caller is limited to some."""

    code = "needs_everywhere"
    says = "This concerns all locations, and you work with some of them."
    mend = "Ask someone who works everywhere to do it."


class BeyondOwn(Forbidden):
    """Someone would give, change or take over rights that they do not hold themselves."""

    code = "beyond_own_rights"
    says = "This person has, or would get, rights or locations that you do not have yourself."
    mend = "Ask an owner who works everywhere to do it."


class TooManyLinks(MalhaError):
    """Links for a new password were asked for too often, for this address or from this place."""

    status = 429
    code = "too_many_links"
    says = "A new password was asked for too often."
    mend = "Look into your mail, or try again in {seconds} seconds."


class LinkUsed(MalhaError):
    """The link was good once: it was used, a newer one was made, or the person may no longer come in."""

    status = 410
    code = "link_used"
    says = "This link was used already, or a newer one was sent."
    mend = "Log in, or ask for a new link."


class CodeNeeded(MalhaError):
    """The password is right, and this account also wants a code of the second factor."""

    status = 401
    code = "code_needed"
    says = "This account also asks for the code of your authenticator app."
    mend = "Send the six digits, or a recovery code, as `code`."


class WrongFactorCode(MalhaError):
    """The code is not that of the last minute, was used before, or is no recovery code that is left."""

    status = 401
    code = "wrong_factor_code"
    says = "This code does not fit."
    mend = "Wait for the next code in your app, check its clock, or use a recovery code."


class LogInExpired(MalhaError):
    """Between password and code too much time went by, or the password was changed meanwhile."""

    status = 401
    code = "log_in_expired"
    says = "This took too long."
    mend = "Log in again."


class SetUpExpired(Conflict):
    """The secret that a page showed for an authenticator app is too old, or was shown to somebody else."""

    code = "set_up_expired"
    says = "The code on the page was too old."
    mend = "Scan the new one."


class FactorDemanded(Conflict):
    """The person's role demands a second factor: it can be replaced, not taken away."""

    code = "factor_demanded"
    says = "Your role demands a second factor."
    mend = "Set up the new app first; it replaces the old one."


class OwnerExists(Conflict):
    """The first owner is made once, on an empty retailer."""

    code = "owner_exists"
    says = "This retailer already has people."
    mend = "Sign in as an owner and add the person there."


class EmailTaken(Conflict):
    """Another person signs in with this e-mail."""

    code = "email_taken"
    says = "There is already a person with the e-mail {email}."
    mend = "Use another e-mail, or change that person."


class ViewNameTaken(Conflict):
    """Another of the person's views of that list has the name."""

    code = "view_name_taken"
    says = "You already have a view called {name}."
    mend = "Choose another name, or save over that view from the list."


class PersonChanged(Conflict):
    """Someone else saved the person between reading and saving."""

    code = "person_changed"
    says = "Someone else changed this person meanwhile."
    mend = "Look at what is there now and change it again."


class LastOwner(Conflict):
    """The retailer would be left without an active owner."""

    code = "last_owner"
    says = "This person is the last active owner."
    mend = "Make someone else an owner first."
