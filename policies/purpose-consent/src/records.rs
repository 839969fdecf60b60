//! What the records of a party say about a deal.

use crate::Params;
use bourse::{Address, CatalogId, ConsentGrant, Refusal};

/// A party of a deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Buyer,
    Seller,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Buyer => "buyer",
            Self::Seller => "seller",
        }
    }

    fn fits(self, grant: &ConsentGrant) -> bool {
        match self {
            Self::Buyer => grant.delegate_type.buys(),
            Self::Seller => grant.delegate_type.sells(),
        }
    }

    /// A refusal whose code names the party.
    fn refuse(self, codes: [&'static str; 2], text: String) -> Refusal {
        let [buyer, seller] = codes;
        let code = match self {
            Self::Buyer => buyer,
            Self::Seller => seller,
        };
        Refusal::new(code, text)
    }
}

/// What the records must cover.
pub(crate) struct Deal<'a> {
    pub(crate) catalog: CatalogId,
    pub(crate) uri: &'a str,
    pub(crate) purpose: &'a str,
    pub(crate) attribute: &'a str,
}

impl Deal<'_> {
    /// Whether the `grants` let `delegate` take this part in the deal.
    ///
    /// Of each member the record counts that speaks of the deal most exactly, and of several such the latest: who
    /// withdrew a part of a wider consent withdrew it. Every member who says anything must say yes: a no is never
    /// outvoted.
    pub(crate) fn covered(
        &self,
        role: Role,
        delegate: Address,
        grants: &[ConsentGrant],
    ) -> Result<(), Refusal> {
        let word = role.word();
        let about: Vec<&ConsentGrant> = grants
            .iter()
            .filter(|grant| grant.delegate == delegate && grant.catalog == self.catalog)
            .filter(|grant| covers(&grant.api_prefix, self.uri))
            .collect();
        if about.is_empty() {
            return Err(role.refuse(
                ["buyer_consent_missing", "seller_consent_missing"],
                format!(
                    "no consent lets the {word} {delegate} deal with {} of this catalog",
                    self.uri
                ),
            ));
        }
        let mut asked = 0;
        for grant in about.iter().filter(|grant| role.fits(grant)) {
            if about
                .iter()
                .any(|other| role.fits(other) && outranks(other, grant))
            {
                continue;
            }
            asked += 1;
            if !grant.granted {
                return Err(role.refuse(
                    ["buyer_consent_withdrawn", "seller_consent_withdrawn"],
                    format!("{} withdrew its consent for the {word} {delegate}", grant.member),
                ));
            }
            if !purposes(grant, self.attribute).any(|purpose| purpose == self.purpose) {
                return Err(role.refuse(
                    ["buyer_consent_other_purpose", "seller_consent_other_purpose"],
                    format!(
                        "the consent of {} for the {word} does not name the purpose {}",
                        grant.member, self.purpose
                    ),
                ));
            }
        }
        match asked {
            0 => Err(role.refuse(
                ["buyer_consent_other_role", "seller_consent_other_role"],
                format!("the consent for {delegate} is not one for a {word}"),
            )),
            _ => Ok(()),
        }
    }
}

/// Whether the delegate has any consent at all, for the purpose of the parameters if they name one: what a query can be
/// asked, which is about no offer.
pub(crate) fn any(
    params: &Params,
    role: Role,
    delegate: Address,
    grants: &[ConsentGrant],
) -> Result<(), Refusal> {
    let good = |grant: &ConsentGrant| {
        let mut purposes = purposes(grant, &params.attribute);
        grant.delegate == delegate
            && role.fits(grant)
            && grant.granted
            && match &params.purpose {
                Some(purpose) => purposes.any(|named| named == purpose.trim()),
                None => purposes.next().is_some(),
            }
    };
    if grants.iter().any(good) {
        return Ok(());
    }
    Err(role.refuse(
        ["buyer_consent_missing", "seller_consent_missing"],
        format!(
            "no consent lets the {} {delegate} deal here for any purpose in question",
            role.word()
        ),
    ))
}

/// Whether `other` goes before `grant`: of the same member, and more exact, or later, or a withdrawal.
fn outranks(other: &ConsentGrant, grant: &ConsentGrant) -> bool {
    let rank = |grant: &ConsentGrant| (grant.api_prefix.len(), grant.updated, !grant.granted);
    other.member == grant.member && rank(other) > rank(grant)
}

/// Whether a consent for the APIs whose name starts with `prefix` covers `uri`. Names are compared in whole components:
/// `com.acme` covers `com.acme.weather` and not `com.acmecorp`.
fn covers(prefix: &str, uri: &str) -> bool {
    match uri.strip_prefix(prefix) {
        None => false,
        Some(rest) => rest.is_empty() || rest.starts_with('.') || prefix.is_empty() || prefix.ends_with('.'),
    }
}

/// The purposes that a consent names, in one attribute or in several.
fn purposes<'a>(grant: &'a ConsentGrant, attribute: &'a str) -> impl Iterator<Item = &'a str> {
    grant
        .attributes
        .iter()
        .filter(move |(name, _)| name == attribute)
        .flat_map(|(_, value)| value.split(','))
        .map(str::trim)
        .filter(|purpose| !purpose.is_empty())
}
