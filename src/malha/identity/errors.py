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


class RightsLost(MalhaError):
    """Work goes on in the name of somebody who may not do it any more, or not there."""

    status = 403
    code = "rights_lost"
    says = "{person}, who began this, may not do it any more."
    mend = "Somebody who may can begin it again for what is left."


class KeyBeyondOwn(Forbidden):
    """Someone would end a key that may do more than they may themselves."""

    code = "key_beyond_own_rights"
    says = "This key has rights or locations that you do not have yourself."
    mend = "Ask an owner who works everywhere to do it."


class KeyBeyondKeeper(MalhaError):
    """Somebody would answer for a key that may do more than they may."""

    status = 409
    code = "key_beyond_keeper"
    says = "This key has rights or locations that {name} does not have."
    mend = "Hand it to somebody who has them, or make a key with less and revoke this one."


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


class TurnedAway(Forbidden):
    """Base of the reasons why somebody whom a provider knows is not let in."""


class LogInLost(MalhaError):
    """The answer of a provider is not for this browser, was used before, or came too late."""

    status = 401
    code = "log_in_lost"
    says = "This log-in cannot be finished: it began in another browser, was finished already, or took too long."
    mend = "Log in again. If it happens every time, allow cookies for this address."


class ProviderSaysNo(TurnedAway):
    """The person or the provider ended the log-in there."""

    code = "provider_says_no"
    says = "{provider} did not let you in."
    mend = "Try again, or ask whoever runs {provider} for access to Malha."


class AnswerWrong(TurnedAway):
    """What the provider sent does not hold: a signature, a claim, a form. `detail` names it for the trail."""

    code = "provider_answer_wrong"
    says = "The answer of the log-in provider could not be believed."
    mend = "Try again. If it happens again, an owner finds the reason in the audit trail."


class ProviderSilent(TurnedAway):
    """The provider could not be asked."""

    status = 502
    code = "provider_silent"
    says = "{provider} cannot be reached right now."
    mend = "Try again in a moment. If it lasts, tell an owner."


class EmailUnverified(TurnedAway):
    """Who is not known by their subject needs an e-mail that the provider has verified."""

    code = "email_unverified"
    says = "{provider} does not say that your e-mail is verified."
    mend = "Confirm your e-mail there, or ask whoever runs {provider} to send it as verified."


class EmailElsewhere(TurnedAway):
    """The e-mail is of a domain that this provider may not bring."""

    code = "email_elsewhere"
    says = "E-mails of {domain} may not log in here."
    mend = "Log in with your work account, or ask an owner to add the domain."


class NotKnownHere(TurnedAway):
    """Nobody here is bound to the account, and the provider may not add anybody."""

    code = "not_known_here"
    says = "You have no access to Malha yet."
    mend = "Ask an owner to invite you."


class EmailOfAnother(TurnedAway):
    """A person with this e-mail exists, and the administrator does not let e-mails bind."""

    code = "email_of_another"
    says = "There is an account with your e-mail that {provider} may not open."
    mend = "Log in with your password, or ask an owner to bind the account to {provider}."


class AccountEnded(TurnedAway):
    """The person was deactivated."""

    code = "account_ended"
    says = "Your access to Malha was ended."
    mend = "Ask an owner if you need it again."


class NoGroupFits(TurnedAway):
    """No group of the person gives a role, and whoever fits none stays out."""

    code = "no_group_fits"
    says = "None of your groups at {provider} gives access to Malha."
    mend = "Ask whoever runs {provider} to add you to a group, or an owner to add a rule."


class OnlyByProvider(TurnedAway):
    """The retailer lets passwords in for emergencies only: owners with a second factor."""

    code = "only_by_provider"
    says = "Passwords do not open this account: log in by your company's provider."
    mend = "Use its button on the log-in page. Owners with a second factor get in by password when the provider fails."


class NoWayBack(Conflict):
    """Without any owner who has a password and a second factor, a failing provider would lock everybody out."""

    code = "no_way_back"
    says = "If the provider fails nobody could come in: no owner of all locations has a password and a second factor."
    mend = "Set up a second factor for an owner of all locations first."


class NoProviderInUse(Conflict):
    """Passwords are off, and no provider would be left to log in by."""

    code = "no_provider_in_use"
    says = "No provider would be left to log in by."
    mend = "Let passwords in again, or switch another provider on, first."


class ProviderCodeTaken(Conflict):
    """Another provider has this code."""

    code = "provider_code_taken"
    says = "There is already a provider with the code {code}."
    mend = "Choose another code."


class ProviderChanged(Conflict):
    """Someone else saved the provider or the policy between reading and saving."""

    code = "provider_changed"
    says = "Someone else changed this meanwhile."
    mend = "Look at what is there now and change it again."


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
    """The retailer would be left without an active owner of all places who has a way to come in."""

    code = "last_owner"
    says = "This person is the last active owner of all locations."
    mend = "Make someone else an owner of all locations first, who has chosen a password or logged in by a provider."
