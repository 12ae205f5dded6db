"""Who may ask for, steer and answer for a deployment. Pure; roles are those read when the person acted."""

from bot.contract import Person, Role
from bot.errors import Refused
from commands.rollout.records import OPEN_STATES, Deployment, Lease, State

STEERING = frozenset({Role.DEPLOYER, Role.APPROVER, Role.ONCALL})


def may_ask(person: Person) -> None:
    """Raise Refused unless the person may ask for a deployment."""
    if Role.DEPLOYER not in person.roles:
        raise Refused(f"You need the role {Role.DEPLOYER} to deploy. Ask someone who has it. Nothing was changed.")


def may_steer(person: Person, deployment: Deployment, verb: str) -> None:
    """Raise Refused unless the person may do this to the deployment in its present state."""
    if person.id != deployment.requested_by and not STEERING & person.roles:
        names = ", ".join(sorted(STEERING))
        raise Refused(
            f"Only the requester or someone with one of the roles {names} may {verb} it. Nothing was changed."
        )
    if deployment.state not in OPEN_STATES:
        raise Refused(f"{deployment.id} is already {deployment.state}. Nothing was changed.")
    wanted = {"pause": State.RUNNING, "resume": State.PAUSED}.get(verb)
    if wanted is not None and deployment.state is not wanted:
        raise Refused(f"{deployment.id} is {deployment.state}, so there is nothing to {verb}. Nothing was changed.")


def may_enter(lease: Lease, waiting: tuple[Deployment, ...], *, gives_up_hold: bool) -> None:
    """Raise Refused while the environment is taken: one rollout at a time, and a hold is given up only by consent."""
    environment = lease.environment
    busy = next((other for other in waiting if other.state is not State.HOLDING), None)
    if busy is not None:
        what = f"{busy.id} ({busy.version}, asked by {busy.requested_by_name}, {busy.state})"
        raise Refused(f"{environment} is taken by {what}. Wait for it or abort it. Nothing was changed.")
    if lease.held and not gives_up_hold:
        raise Refused(
            f"{environment} is in the hold of {lease.holder}: deploying now destroys its way back. "
            "Add --replace-hold to consent. Nothing was changed."
        )
