//! Who calls: what the router says of a session, held against what the ledger and the session's own login say.

use super::Role;
use super::logins::Standing;
use crate::market::Market;
use bourse_market::registry::{ActorKey, ActorType};
use bourse_market::{Address, MarketId, View};
use bourse_wamp::{Invocation, ROLE_ANONYMOUS, ROLE_MARKETMAKER, ROLE_OPERATOR, WampError};

/// What the login of a member begins with; 40 hex digits follow.
const MEMBER: &str = "member-";
/// What that of a delegate begins with.
const DELEGATE: &str = "delegate-";
/// The role of members that the market's own authenticator lets in.
pub(crate) const ROLE_MEMBER: &str = "user";
/// The role of delegates that it lets in.
pub(crate) const ROLE_DELEGATE: &str = "delegate";
/// The role that a router has in its own realms.
const ROLE_ROUTER: &str = "trusted";

/// The authid of a member that is logged in.
pub(crate) fn authid_of_member(member: &Address) -> String {
    format!("{MEMBER}{}", hex::encode(member.0))
}

/// The authid of a delegate that is logged in.
pub(crate) fn authid_of_delegate(delegate: &Address) -> String {
    format!("{DELEGATE}{}", hex::encode(delegate.0))
}

/// Somebody who calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    /// A role that no address goes with.
    special: Option<Role>,
    /// The member it is logged in as.
    pub(crate) member: Option<Address>,
    /// The delegate it is logged in as.
    pub(crate) delegate: Option<Address>,
    /// The delegate it proved to be.
    proven: Option<Address>,
    /// The identity that its router vouches for, unless it came by a login that counts no more.
    named: bool,
}

impl Caller {
    /// As the router tells, and as its login still holds. That a member is an actor of the market is asked by
    /// [`Caller::standing`].
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub(crate) fn of(market: &Market, invocation: &Invocation) -> Result<Self, WampError> {
        let role = role_of(invocation);
        let special = match role {
            ROLE_MARKETMAKER => Some(Role::MarketMaker),
            ROLE_OPERATOR => Some(Role::Operator),
            ROLE_ROUTER => Some(Role::Router),
            _ => None,
        };
        let proven = invocation.caller.and_then(|session| market.known_buyer(session));
        let claimed = claimed(invocation);
        // What a session logged in by may have come to its end before the session.
        let counts = match (claimed, invocation.caller) {
            (Some(party), Some(session)) => counts(market, session, &party)?,
            _ => true,
        };
        let logged_in = |as_role| claimed.filter(|_| counts && role == as_role);
        Ok(Self {
            special,
            member: logged_in(ROLE_MEMBER),
            delegate: logged_in(ROLE_DELEGATE),
            proven,
            named: counts && role != ROLE_ANONYMOUS,
        })
    }

    /// Whether the authid that its router tells is its own, and still.
    pub(crate) fn is_named(&self) -> bool {
        self.named
    }

    /// Without the member that is none of this market, or not any more.
    pub(crate) fn standing(mut self, market: &Market) -> Result<Self, WampError> {
        if let Some(member) = self.member
            && market
                .read(|ledger| part_of(ledger, market.network.market, &member))?
                .is_none()
        {
            self.member = None;
        }
        Ok(self)
    }

    /// Each role it has. The first that may do something counts.
    pub(crate) fn roles(&self) -> impl Iterator<Item = Role> {
        let delegate = self.delegate.or(self.proven);
        let none = self.special.is_none() && self.member.is_none() && delegate.is_none();
        [
            self.special,
            self.member.map(|_| Role::Member),
            delegate.map(|_| Role::Delegate),
            none.then_some(Role::Anonymous),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether it is this delegate.
    pub(crate) fn is_delegate(&self, delegate: &Address) -> bool {
        [self.delegate, self.proven].contains(&Some(*delegate))
    }
}

fn role_of(invocation: &Invocation) -> &str {
    invocation.caller_authrole.as_deref().unwrap_or(ROLE_ANONYMOUS)
}

/// The member or delegate that the caller is logged in as, by its authid and role. Some routers let anybody without a login
/// choose its authid: the role must be one that takes a login.
pub(crate) fn claimed(invocation: &Invocation) -> Option<Address> {
    let prefix = match role_of(invocation) {
        ROLE_MEMBER => MEMBER,
        ROLE_DELEGATE => DELEGATE,
        _ => return None,
    };
    invocation
        .caller_authid
        .as_deref()?
        .strip_prefix(prefix)?
        .parse()
        .ok()
}

/// The member or delegate whose login an authid is, if it is one that the market's authenticator gives.
pub(crate) fn party_of(authid: &str) -> Option<Address> {
    let address = authid.strip_prefix(MEMBER).or(authid.strip_prefix(DELEGATE))?;
    address.parse().ok()
}

/// Whether what a session logged in by still speaks for this party. What the operator or another router vouches for does.
fn counts(market: &Market, session: u64, party: &Address) -> Result<bool, WampError> {
    let now = market.now();
    let login = match market.logins.standing(session, now) {
        Standing::Otherwise => return Ok(true),
        // At the market's own router its logins are settled before the session is there.
        Standing::Unheard => return Ok(market.doors.is_own()),
        Standing::Nothing => return Ok(false),
        Standing::By(login) => login,
    };
    let known = market.read(|ledger| ledger.user_key(&login.key))?;
    let stands = known.is_some_and(|known| known.party == login.party && known.stands(now));
    Ok(stands && login.party == *party)
}

/// What a member is in the market: the first of the parts it has. Without a chain nobody joins a market, and whoever has an
/// account may do both.
pub(crate) fn part_of<V: View>(
    ledger: &V,
    market: MarketId,
    member: &Address,
) -> Result<Option<ActorType>, V::Error> {
    if ledger.genesis()?.is_some_and(|genesis| genesis.local) {
        return Ok(ledger.account(member)?.map(|_| ActorType::ProviderConsumer));
    }
    if !ledger
        .member(member)?
        .is_some_and(|known| known.level.takes_part())
    {
        return Ok(None);
    }
    for kind in [
        ActorType::Provider,
        ActorType::Consumer,
        ActorType::ProviderConsumer,
    ] {
        let key = ActorKey {
            market,
            actor: *member,
            kind,
        };
        if ledger.actor(&key)?.is_some_and(|actor| actor.left.is_none()) {
            return Ok(Some(kind));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop")]
mod tests {
    use super::*;
    use bourse_market::registry::{Actor, Member, MemberLevel, Registration};
    use bourse_market::{Amount, BlockNumber, Command, Genesis, MemoryLedger, Nanos};

    const MARKET: MarketId = MarketId([1; 16]);
    const SOMEBODY: Address = Address([2; 20]);

    fn ledger(local: bool) -> MemoryLedger {
        let mut ledger = MemoryLedger::new();
        let genesis = Genesis {
            market: MARKET,
            marketmaker: Address([9; 20]),
            owner: Address([9; 20]),
            float: Amount::ZERO,
            local,
            at: Nanos(1),
        };
        ledger.submit(&Command::Genesis(genesis)).unwrap();
        ledger
    }

    fn says(ledger: &mut MemoryLedger, registration: Registration) {
        ledger.submit(&Command::Register(Box::new(registration))).unwrap();
    }

    fn member(level: MemberLevel, block: u64) -> Registration {
        Registration::Member(Member {
            address: SOMEBODY,
            registered: BlockNumber(1),
            updated: BlockNumber(block),
            at: Nanos(block),
            eula: String::new(),
            profile: String::new(),
            level,
            transaction: None,
            signature: None,
        })
    }

    fn actor(market: MarketId, kind: ActorType, left: Option<u64>) -> Registration {
        Registration::Actor(Actor {
            key: ActorKey {
                market,
                actor: SOMEBODY,
                kind,
            },
            joined: BlockNumber(2),
            left: left.map(BlockNumber),
            updated: BlockNumber(left.unwrap_or(2)),
            at: Nanos(2),
            security: Amount::ZERO,
            meta: String::new(),
            transaction: None,
            signature: None,
        })
    }

    #[test]
    fn w_37_an_actor_is_a_member_that_joined_this_market_and_has_not_left_it() {
        let mut ledger = ledger(false);
        let part = |ledger: &MemoryLedger| part_of(ledger, MARKET, &SOMEBODY).unwrap();
        assert_eq!(part(&ledger), None);
        says(&mut ledger, member(MemberLevel::Active, 1));
        says(&mut ledger, actor(MarketId([8; 16]), ActorType::Provider, None));
        assert_eq!(part(&ledger), None, "another market's");
        says(&mut ledger, actor(MARKET, ActorType::ProviderConsumer, None));
        says(&mut ledger, actor(MARKET, ActorType::Consumer, None));
        assert_eq!(part(&ledger), Some(ActorType::Consumer), "the first of its parts");
        says(&mut ledger, actor(MARKET, ActorType::Consumer, Some(5)));
        assert_eq!(part(&ledger), Some(ActorType::ProviderConsumer));
        says(&mut ledger, member(MemberLevel::Retired, 6));
        assert_eq!(part(&ledger), None);
        says(&mut ledger, member(MemberLevel::Verified, 7));
        says(&mut ledger, actor(MARKET, ActorType::ProviderConsumer, Some(8)));
        assert_eq!(part(&ledger), None);
    }

    #[test]
    fn without_a_chain_whoever_has_an_account_takes_part() {
        let mut ledger = ledger(true);
        assert_eq!(part_of(&ledger, MARKET, &SOMEBODY).unwrap(), None);
        let grant = bourse_market::FundRequest {
            address: SOMEBODY,
            amount: Amount::from_tokens(1),
            at: Nanos(2),
        };
        ledger.submit(&Command::Fund(grant)).unwrap();
        let part = part_of(&ledger, MARKET, &SOMEBODY).unwrap();
        assert_eq!(part, Some(ActorType::ProviderConsumer));
    }
}
