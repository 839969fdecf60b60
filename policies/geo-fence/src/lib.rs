//! `geo-fence`: only buyers, and where asked sellers, from the countries that rule and offer allow.
//!
//! A country is what the consent records of a delegate's member say, as ISO 3166 code: `DE`, or `US-CA` for a part of
//! one. There is no address of a network in a request, and none would prove anything. README.md beside this crate has
//! the parameters.

mod region;

use bourse::{Action, Address, ConsentGrant, ConsentRequest, Offer, Refusal};
use region::{is_code, overlaps, within};

/// The policy.
pub struct GeoFence;

/// What the operator may set.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Params {
    /// Countries and parts of countries that may deal; none named, all may.
    pub allow: Vec<String>,
    /// Countries and parts of countries that may not, even if they are allowed.
    pub deny: Vec<String>,
    /// The label in which an offer names the countries that may buy it, separated by commas; it narrows the rule.
    #[param(default = "countries")]
    pub label: String,
    /// The attribute of a consent that says where its member is.
    #[param(default = "country")]
    pub attribute: String,
    /// Whether sellers must be within the fence as well.
    #[param(default = false)]
    pub sellers: bool,
    /// What a buyer may do who has not proven who it is.
    #[param(default = Unproven::Refuse)]
    pub unproven: Unproven,
}

/// What a buyer may do who has not proven who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bourse::Params)]
pub enum Unproven {
    /// Nothing, where there is a fence.
    Refuse,
    /// List offers and ask for prices. A purchase is never unproven.
    Ask,
}

impl Params {
    fn check(&self) -> Result<(), Refusal> {
        for (name, codes) in [("allow", &self.allow), ("deny", &self.deny)] {
            if let Some(wrong) = codes.iter().find(|code| !is_code(code)) {
                return Err(Refusal::params(format!(
                    "{name} has `{wrong}`: expected codes such as DE or US-CA"
                )));
            }
        }
        Ok(())
    }
}

/// Where a party may be.
struct Fence<'a> {
    params: &'a Params,
    /// What the offer's label says, for buyers.
    label: Option<&'a str>,
}

impl Fence<'_> {
    /// Whether there is none: then nobody's country matters.
    fn is_open(&self) -> bool {
        self.params.allow.is_empty() && self.params.deny.is_empty() && self.label.is_none()
    }

    fn lets_in(&self, country: &str) -> bool {
        // What is no code is nowhere, and that is outside: not even a rule that only denies lets it in.
        if !is_code(country) {
            return false;
        }
        let Params { allow, deny, .. } = self.params;
        let allowed = allow.is_empty() || allow.iter().any(|area| within(country, area));
        // Who is only known to be in a country may be in the part of it that is shut out.
        let denied = deny.iter().any(|area| overlaps(country, area));
        let listed = self
            .label
            .is_none_or(|label| label.split(',').any(|area| within(country, area.trim())));
        allowed && !denied && listed
    }

    /// Whether every country that the records of `delegate` name is within.
    fn pass(&self, who: Party, delegate: Address, grants: &[ConsentGrant]) -> Result<(), Refusal> {
        let mut known = false;
        let given = grants
            .iter()
            .filter(|grant| grant.granted && grant.delegate == delegate && who.fits(grant));
        for (_, country) in given
            .flat_map(|grant| &grant.attributes)
            .filter(|(name, _)| *name == self.params.attribute)
        {
            known = true;
            if !self.lets_in(country.trim()) {
                return Err(Refusal::new(
                    who.codes().0,
                    format!(
                        "the {} {delegate} is recorded in `{country}`, which is not let in here",
                        who.word()
                    ),
                ));
            }
        }
        if known {
            return Ok(());
        }
        Err(Refusal::new(
            who.codes().1,
            format!(
                "no consent says in its attribute {} where the {} is",
                self.params.attribute,
                who.word()
            ),
        ))
    }
}

/// A party of a deal.
#[derive(Clone, Copy)]
enum Party {
    Buyer,
    Seller,
}

impl Party {
    fn word(self) -> &'static str {
        match self {
            Self::Buyer => "buyer",
            Self::Seller => "seller",
        }
    }

    /// The codes for a country that is outside, and for one that is not known.
    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Buyer => ("buyer_outside", "buyer_country_unknown"),
            Self::Seller => ("seller_outside", "seller_country_unknown"),
        }
    }

    fn fits(self, grant: &ConsentGrant) -> bool {
        match self {
            Self::Buyer => grant.delegate_type.buys(),
            Self::Seller => grant.delegate_type.sells(),
        }
    }
}

/// Only buyers and sellers from the countries that rule and offer allow.
#[bourse::policy]
impl GeoFence {
    /// Refuses whoever is outside, or may be.
    ///
    /// # Errors
    ///
    /// A code for each party that is outside or unknown, which README.md lists.
    pub fn authorize(request: &ConsentRequest<Params>) -> Result<(), Refusal> {
        let params = &request.params;
        params.check()?;
        if let Some(offer) = &request.offer {
            if request.action == Action::Place {
                check_label(params, offer)?;
            }
            let fence = Fence { params, label: None };
            if params.sellers && !fence.is_open() {
                fence.pass(Party::Seller, offer.seller, &request.seller_grants)?;
            }
        }
        let fence = Fence {
            params,
            label: request
                .offer
                .as_ref()
                .and_then(|offer| offer.category(&params.label)),
        };
        match request.buyer {
            _ if request.action == Action::Place || fence.is_open() => Ok(()),
            Some(buyer) => fence.pass(Party::Buyer, buyer, &request.buyer_grants),
            None => match (params.unproven, request.action) {
                (Unproven::Ask, Action::Query | Action::Quote) => Ok(()),
                _ => Err(Refusal::new(
                    "buyer_unknown",
                    "where a buyer is who is not known, nobody can tell: log in as one, and ask again",
                )),
            },
        }
    }
}

/// A label that is mistyped lets nobody in, which its seller would rather hear at once.
fn check_label(params: &Params, offer: &Offer) -> Result<(), Refusal> {
    let Some(label) = offer.category(&params.label) else {
        return Ok(());
    };
    match label.split(',').map(str::trim).find(|code| !is_code(code)) {
        Some(wrong) => Err(Refusal::new(
            "bad_label",
            format!(
                "the label {} has `{wrong}`: expected codes such as DE, US-CA",
                params.label
            ),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
