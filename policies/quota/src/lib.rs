//! `quota`: a buyer gets so many keys in a period and no more.
//!
//! Posted purchases are counted in the policy's state, as they are authorised in buy_key; a quote is refused once
//! nothing is left, and counts nothing. README.md beside this crate has the parameters.

use bourse::{Action, Address, ConsentGrant, ConsentRequest, Offer, Refusal, State};
use tally::{Tally, millis};

/// The policy.
pub struct Quota;

/// What the operator may set.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Params {
    /// Keys that a buyer gets in a period.
    #[param(default = 100, min = 1)]
    pub keys: u64,
    /// How long a period is, in milliseconds, from the first purchase in it.
    #[param(default = 86_400_000, min = tally::MIN_PERIOD_MS, max = tally::MAX_PERIOD_MS)]
    pub period_ms: u64,
    /// Which purchases count together: all, those from one seller, or those of one API.
    #[param(default = Scope::Market)]
    pub scope: Scope,
    /// Who a buyer is: each delegate, or the member whose consent it acts under.
    #[param(default = Per::Delegate)]
    pub per: Per,
    /// Buyers that are counted; later ones are refused.
    #[param(default = 5_000, min = 1, max = tally::MAX_TALLIES)]
    pub max_buyers: u32,
}

/// Which purchases count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bourse::Params)]
pub enum Scope {
    /// All that the rule covers.
    Market,
    /// Those from one seller's delegate.
    Seller,
    /// Those of one API, whoever sells it.
    Api,
}

/// Who a buyer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bourse::Params)]
pub enum Per {
    /// Each delegate for itself.
    Delegate,
    /// All delegates of a member together.
    Member,
}

/// Members that one delegate may buy for: each takes up to three of the sixteen changes that a call may make.
const MAX_MEMBERS: usize = 4;

/// The members that let `delegate` buy for them, each once.
fn members(request: &ConsentRequest<Params>, delegate: Address) -> Result<Vec<Address>, Refusal> {
    let grants = request
        .buyer_grants
        .iter()
        .filter(|grant| grant.granted && grant.delegate == delegate && grant.delegate_type.buys());
    let mut members = Vec::with_capacity(MAX_MEMBERS);
    for ConsentGrant { member, .. } in grants {
        if members.contains(member) {
            continue;
        }
        if members.len() == MAX_MEMBERS {
            return Err(Refusal::new(
                "too_many_members",
                format!(
                    "the delegate buys for more than {MAX_MEMBERS} members, which is more than are counted"
                ),
            ));
        }
        members.push(*member);
    }
    if members.is_empty() {
        return Err(Refusal::new(
            "member_unknown",
            "no member has consented that this delegate buys for it, and the quota is counted by members",
        ));
    }
    Ok(members)
}

impl Params {
    /// Under which key the purchases of `buyer` count.
    fn key(&self, offer: &Offer, Address(buyer): Address) -> String {
        match self.scope {
            Scope::Market => tally::key("m", &[&buyer]),
            Scope::Seller => tally::key("s", &[&buyer, &offer.seller.0]),
            Scope::Api => tally::key("a", &[&buyer, &offer.api.0]),
        }
    }
}

/// A buyer gets so many keys in a period and no more.
#[bourse::policy]
impl Quota {
    /// Refuses a known buyer whose keys are used up; a purchase counts.
    ///
    /// # Errors
    ///
    /// `quota_used_up`, and those for buyers who cannot be counted, which README.md lists.
    pub fn authorize(request: &ConsentRequest<Params>, host: &impl State) -> Result<(), Refusal> {
        let params = &request.params;
        let (Action::Quote | Action::Buy, Some(offer)) = (request.action, &request.offer) else {
            return Ok(());
        };
        let Some(delegate) = request.buyer else {
            return match request.action {
                // Whoever buys is known by then, and is asked about again.
                Action::Quote => Ok(()),
                _ => Err(Refusal::new(
                    "buyer_unknown",
                    "a purchase has a buyer, and this one has none",
                )),
            };
        };
        let buyers = match params.per {
            Per::Delegate => vec![delegate],
            Per::Member => members(request, delegate)?,
        };
        let now_ms = millis(request.now);
        for buyer in buyers {
            let key = params.key(offer, buyer);
            let tally = Tally::read(host, &key);
            if tally.count_at(now_ms) >= params.keys {
                let left_s = tally.left_ms(now_ms, 1).unwrap_or(0).div_ceil(1_000);
                return Err(Refusal::new(
                    "quota_used_up",
                    format!(
                        "all {} keys of this period are bought: the next one begins in {left_s} s",
                        params.keys
                    ),
                ));
            }
            if tally.is_crowded_out(host, params.max_buyers) {
                return Err(Refusal::new(
                    "full",
                    format!(
                        "{} buyers are counted, and there is no room for another",
                        params.max_buyers
                    ),
                ));
            }
            if request.action == Action::Buy {
                tally.add_at(host, &key, 1, now_ms, params.period_ms);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
