//! `purpose-consent`: buyer and seller must both have consented to the catalog, the purpose and their part in it.
//!
//! Members record consents: who may act for them, as what, with which APIs of which catalog, and for which purposes.
//! This policy lets a deal go on only if the records of both delegates cover it. What is not on record is not
//! consented to. README.md beside this crate has the parameters and the table of answers.

mod records;

use bourse::{Action, ConsentRequest, Refusal};
use records::{Deal, Role};

/// The policy.
pub struct PurposeConsent;

/// What the operator may set.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Params {
    /// The purpose that both parties must have consented to; unset takes it from the offer's label.
    pub purpose: Option<String>,
    /// The label in which an offer names its purpose.
    #[param(default = "purpose")]
    pub label: String,
    /// The attribute in which a consent names its purposes, separated by commas.
    #[param(default = "purpose")]
    pub attribute: String,
    /// What a buyer may do who has not proven who it is.
    #[param(default = Unproven::Refuse)]
    pub unproven: Unproven,
}

/// What a buyer may do who has not proven who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bourse::Params)]
pub enum Unproven {
    /// Nothing.
    Refuse,
    /// List offers and ask for prices. A purchase is never unproven.
    Ask,
}

impl Params {
    fn check(&self) -> Result<(), Refusal> {
        let named = [
            ("purpose", self.purpose.as_ref()),
            ("label", Some(&self.label)),
            ("attribute", Some(&self.attribute)),
        ];
        for (name, value) in named {
            if let Some(value) = value.filter(|value| value.trim().is_empty() || value.contains(',')) {
                return Err(Refusal::params(format!(
                    "{name} is `{value}`: expected one word or phrase without a comma"
                )));
            }
        }
        Ok(())
    }
}

/// Buyer and seller must both have consented to the catalog, the purpose and their part in it.
#[bourse::policy]
impl PurposeConsent {
    /// Refuses unless the records of whoever acts cover what is to be done.
    ///
    /// # Errors
    ///
    /// A code for each party and each thing that can be missing, which README.md lists.
    pub fn authorize(request: &ConsentRequest<Params>) -> Result<(), Refusal> {
        let params = &request.params;
        params.check()?;
        let Some(offer) = &request.offer else {
            return match request.buyer {
                Some(buyer) => records::any(params, Role::Buyer, buyer, &request.buyer_grants),
                None => unproven(params, request.action),
            };
        };
        let catalog = offer.catalog.ok_or_else(|| {
            Refusal::new(
                "no_catalog",
                "the offer names no catalog, and consents are given for catalogs",
            )
        })?;
        let purpose = params
            .purpose
            .as_deref()
            .or_else(|| {
                offer
                    .category(&params.label)
                    .filter(|purpose| !purpose.trim().is_empty())
            })
            .ok_or_else(|| {
                Refusal::new(
                    "no_purpose",
                    format!("the offer names no purpose in its label {}", params.label),
                )
            })?;
        let deal = Deal {
            catalog,
            uri: &offer.uri,
            purpose: purpose.trim(),
            attribute: &params.attribute,
        };
        deal.covered(Role::Seller, offer.seller, &request.seller_grants)?;
        match request.buyer {
            _ if request.action == Action::Place => Ok(()),
            Some(buyer) => deal.covered(Role::Buyer, buyer, &request.buyer_grants),
            None => unproven(params, request.action),
        }
    }
}

fn unproven(params: &Params, action: Action) -> Result<(), Refusal> {
    match (params.unproven, action) {
        (Unproven::Ask, Action::Query | Action::Quote) => Ok(()),
        _ => Err(Refusal::new(
            "buyer_unknown",
            "nobody has consented for a buyer who is not known: log in as one, and ask again",
        )),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
