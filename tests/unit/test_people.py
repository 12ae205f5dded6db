"""Roles come from Slack or not at all."""

import asyncio

import pytest

from bot.clients.slack import SlackGroup, SlackUser
from bot.contract import Person, Role
from bot.errors import NotFound, Throttled, Unavailable
from bot.people import People, same

JANE = SlackUser(id="UJANE", name="Jane", email="jane@example.com")
BOB = SlackUser(id="UBOB", name="Bob", email="Bob@Example.com")


class Directory:
    """Slack's members and groups, switchable off, counting reads."""

    def __init__(self):
        self.users = {user.id: user for user in (JANE, BOB)}
        self.list = [
            SlackGroup(id="SAPP", handle="obs-approvers", members=("UBOB",)),
            SlackGroup(id="SDBA", handle="dba", members=("UJANE",)),
        ]
        self.failure = None
        self.reads = {"user": 0, "groups": 0}
        self.gate = None

    async def user(self, user_id):
        self.reads["user"] += 1
        self._fail()
        if user_id not in self.users:
            raise NotFound("Slack refused users.info: user_not_found")
        return self.users[user_id]

    async def user_by_email(self, email):
        self._fail()
        for user in self.users.values():
            if user.email.casefold() == email.casefold():
                return user
        raise NotFound("Slack refused users.lookupByEmail: users_not_found")

    async def groups(self):
        self.reads["groups"] += 1
        if self.gate:
            await self.gate.wait()
        self._fail()
        return tuple(self.list)

    def _fail(self):
        if self.failure:
            raise self.failure


class Clock:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def directory():
    return Directory()


@pytest.fixture
def clock():
    return Clock()


def people(directory, clock, **roles):
    return People(directory, {Role(name): names for name, names in roles.items()}, clock=clock)


@pytest.mark.parametrize(
    "name", ["obs-approvers", "@obs-approvers", "@Obs-Approvers", "SAPP", "UBOB", "bob@example.com"]
)
async def test_a_role_is_given_by_group_handle_group_id_user_id_or_email(directory, clock, name):
    bob = await people(directory, clock, approver=(name,)).find("UBOB")
    jane = await people(directory, clock, approver=(name,)).find("UJANE")
    assert bob.roles == {Role.APPROVER}
    assert jane.roles == frozenset()


async def test_a_group_named_like_somebodys_id_gives_no_right(directory, clock):
    directory.list.append(SlackGroup(id="SX", handle="ubob", members=("UJANE",)))
    assert (await people(directory, clock, approver=("UBOB",)).find("UJANE")).roles == frozenset()


async def test_a_deactivated_account_has_no_roles(directory, clock):
    directory.users["UBOB"] = SlackUser(id="UBOB", name="Bob", email="bob@example.com", active=False)
    assert (await people(directory, clock, approver=("UBOB",)).find("UBOB")).roles == frozenset()


async def test_roles_are_remembered_for_a_minute(directory, clock):
    all_of_them = people(directory, clock, approver=("obs-approvers",))
    await all_of_them.find("UBOB")
    clock.seconds += 59
    await all_of_them.find("UBOB")
    assert directory.reads == {"user": 1, "groups": 1}
    clock.seconds += 2
    await all_of_them.find("UBOB")
    assert directory.reads == {"user": 2, "groups": 2}


async def test_a_fresh_read_sees_a_role_taken_away_a_second_ago(directory, clock):
    all_of_them = people(directory, clock, approver=("obs-approvers",))
    assert (await all_of_them.find("UBOB")).roles == {Role.APPROVER}
    directory.list.clear()
    assert (await all_of_them.find("UBOB", fresh=True)).roles == frozenset()


async def test_when_slack_is_down_a_fresh_read_fails_and_another_uses_the_last_good_copy(directory, clock):
    all_of_them = people(directory, clock, approver=("obs-approvers",))
    before = await all_of_them.find("UBOB")
    directory.failure = Throttled("Slack asks to slow down", retry_after=3)
    clock.seconds += 3600
    assert await all_of_them.find("UBOB") == before
    with pytest.raises(Unavailable, match="never guessed"):
        await all_of_them.find("UBOB", fresh=True)
    assert await all_of_them.find("UBOB") == before


async def test_without_any_copy_an_unreadable_slack_is_an_error_and_not_a_person_without_roles(directory, clock):
    directory.failure = Unavailable("Slack cannot be reached")
    with pytest.raises(Unavailable):
        await people(directory, clock, approver=("obs-approvers",)).find("UBOB")


async def test_a_read_after_a_failure_asks_again(directory, clock):
    all_of_them = people(directory, clock, approver=("obs-approvers",))
    directory.failure = Unavailable("Slack cannot be reached")
    with pytest.raises(Unavailable):
        await all_of_them.find("UBOB", fresh=True)
    directory.failure = None
    clock.seconds += 0.1
    assert (await all_of_them.find("UBOB", fresh=True)).roles == {Role.APPROVER}


async def test_an_unknown_person_is_not_found(directory, clock):
    with pytest.raises(NotFound):
        await people(directory, clock, approver=("obs-approvers",)).find("UNOBODY")


async def test_groups_are_not_read_when_no_role_names_one(directory, clock):
    await people(directory, clock, approver=("UBOB", "jane@example.com")).find("UBOB", fresh=True)
    assert directory.reads["groups"] == 0


async def test_a_crowd_of_clicks_shares_a_read_that_began_after_they_asked(directory):
    ticks = iter(range(10_000))
    all_of_them = People(directory, {Role.APPROVER: ("obs-approvers",)}, clock=lambda: float(next(ticks)))
    directory.gate = asyncio.Event()
    crowd = [asyncio.create_task(all_of_them.find("UBOB", fresh=True)) for _ in range(50)]
    for _ in range(5):
        await asyncio.sleep(0)
    directory.gate.set()
    found = await asyncio.gather(*crowd)
    assert all(person.roles == {Role.APPROVER} for person in found)
    assert directory.reads["groups"] == 2


async def test_a_person_is_found_by_email_for_the_terminal(directory, clock):
    bob = await people(directory, clock, approver=("obs-approvers",)).by_email("bob@example.com")
    assert (bob.id, bob.roles) == ("UBOB", {Role.APPROVER})


async def test_with_slack_down_the_terminal_has_only_the_roles_the_settings_give_to_the_address(directory, clock):
    directory.failure = Unavailable("Slack cannot be reached")
    all_of_them = people(directory, clock, approver=("obs-approvers",), deployer=("bob@example.com",))
    assert (await all_of_them.by_email("bob@example.com")).roles == {Role.DEPLOYER}
    with pytest.raises(Unavailable, match="can be confirmed"):
        await all_of_them.by_email("jane@example.com")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Person(id="U1", name="a"), Person(id="U1", name="b"), True),
        (Person(id="U1", name="a", email="A@x.io"), Person(id="U2", name="b", email="a@X.io"), True),
        (Person(id="U1", name="a", email=""), Person(id="U2", name="a", email=""), False),
        (Person(id="U1", name="a", email="a@x.io"), Person(id="U2", name="a", email="b@x.io"), False),
    ],
)
def test_two_accounts_with_one_address_are_one_person(one, other, expected):
    assert same(one, other) is expected
