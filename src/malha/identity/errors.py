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


class OutsideScope(Forbidden):
    """The record belongs to a location the caller may not work with."""

    code = "outside_scope"
    says = "Location {location} is outside your scope."
    mend = "Ask an owner to add it to your locations."


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


class LastOwner(Conflict):
    """The retailer would be left without an active owner."""

    code = "last_owner"
    says = "This person is the last active owner."
    mend = "Make someone else an owner first."
