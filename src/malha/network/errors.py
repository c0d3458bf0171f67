"""Refusals of the network."""

from malha.platform.errors import Conflict, MalhaError, NotFound


class UnknownLocation(NotFound):
    """No location has this code."""

    code = "unknown_location"
    says = "There is no location {key}."
    mend = "Check the code in the list of locations."


class UnknownLegalEntity(NotFound):
    """No company has this root of the CNPJ."""

    code = "unknown_legal_entity"
    says = "There is no company with the CNPJ root {key}."
    mend = "Check its first eight characters in the list of companies."


class UnknownEstablishment(NotFound):
    """No establishment has this code."""

    code = "unknown_establishment"
    says = "There is no establishment {key}."
    mend = "Check the code in the list of establishments, or create it first."


class UnknownChannel(NotFound):
    """No channel has this code."""

    code = "unknown_channel"
    says = "There is no sales channel {key}."
    mend = "Check the code in the list of channels."


class UnknownService(NotFound):
    """No shipping service has this code."""

    code = "unknown_service"
    says = "There is no shipping service {key}."
    mend = "Check the code in the list of services."


class CodeTaken(Conflict):
    """A record with this code exists."""

    code = "code_taken"
    says = "The code {key} is already in use."
    mend = "Choose another code, or change the record that has it."


class CnpjTaken(Conflict):
    """Another establishment has this CNPJ."""

    code = "cnpj_taken"
    says = "The CNPJ {cnpj} belongs to the establishment {key}."
    mend = "Check the CNPJ, or change that establishment."


class UnknownPlace(NotFound):
    """No municipality has this CEP."""

    code = "unknown_place"
    says = "No municipality has the CEP {key}."
    mend = "Check the CEP; it has eight digits."


class SharedByAll(MalhaError):
    """Companies, channels, services and new locations concern the whole retailer."""

    status = 403
    code = "shared_by_all"
    says = "This concerns the whole retailer, and your access is limited to some locations."
    mend = "Ask somebody whose access is not limited."


class SiteShared(MalhaError):
    """What is to change concerns all of a site, and the actor sees only a part of it."""

    status = 403
    code = "site_shared"
    says = "{key} shares the site of {site}, which your access does not include."
    mend = "Ask somebody whose access includes {site}."


class SiteIsClosed(MalhaError):
    """A location cannot be opened at a site that is closed."""

    status = 409
    code = "site_closed"
    says = "{key} is at the site of {site}, which is closed."
    mend = "Open {site} first."


class OwnerTwiceAtSite(MalhaError):
    """Each owner has one location at a site."""

    status = 409
    code = "owner_twice_at_site"
    says = "{other} keeps this owner's goods at the site of {key} already."
    mend = "Choose another owner, or move the goods between the two by a transfer."


class UnknownOwner(NotFound):
    """Nobody known to the actor by this code or CNPJ root owns goods at a location."""

    code = "unknown_owner"
    says = "No goods of {key} are kept anywhere."
    mend = "Check the code of the establishment, or the first eight digits of the company's CNPJ."


class OwnerNotAtSite(NotFound):
    """An owner keeps nothing at a site."""

    code = "owner_not_at_site"
    says = "No goods of {owner} are kept at the site of {key}."
    mend = "Check the owner's establishment, or add a location for its goods to the site."
