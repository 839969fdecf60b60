//! Between the types of the SDK and those of the host.

use bourse_market::{
    Address, Amount, ApiId, CatalogId, KeyId, Nanos, Offer, OfferId, Placer, Price, PricingTerms, SessionId,
    Signature,
};
use bourse_policy::{Action, ConsentGrant};

pub(crate) fn amount(amount: bourse::Amount) -> Amount {
    Amount::from_limbs(amount.limbs())
}

pub(crate) fn amount_back(amount: Amount) -> bourse::Amount {
    bourse::Amount::from_limbs(*amount.limbs())
}

pub(crate) fn address(address: bourse::Address) -> Address {
    Address(address.0)
}

pub(crate) fn nanos(nanos: bourse::Nanos) -> Nanos {
    Nanos(nanos.0)
}

pub(crate) fn action(action: bourse::Action) -> Action {
    match action {
        bourse::Action::Place => Action::Place,
        bourse::Action::Query => Action::Query,
        bourse::Action::Quote => Action::Quote,
        bourse::Action::Buy => Action::Buy,
    }
}

pub(crate) fn figures(figures: &bourse::Figures) -> bourse_market::Figures {
    bourse_market::Figures {
        sales: figures.sales,
        volume: amount(figures.volume),
        quotes: figures.quotes,
        last_price: figures.last_price.map(amount),
        last_at: figures.last_at.map(nanos),
    }
}

/// An offer as the market keeps it, with nothing in the fields that no policy sees.
pub(crate) fn offer(offer: &bourse::Offer) -> Offer {
    Offer {
        id: OfferId([0; 16]),
        key: KeyId(offer.key.0),
        api: ApiId(offer.api.0),
        catalog: offer.catalog.map(|catalog| CatalogId(catalog.0)),
        uri: offer.uri.clone(),
        seller: address(offer.seller),
        provider_id: offer.provider.clone(),
        placer: Placer {
            session: SessionId(0),
            authid: None,
        },
        placed_at: nanos(offer.placed_at),
        valid_from: Some(nanos(offer.valid_from)),
        expires: offer.expires.map(nanos),
        revoked: None,
        signature: Signature([0; 65]),
        signature_verified: false,
        claimed: false,
        unlisted: false,
        price: offer
            .price
            .map_or(Price::Dynamic, |price| Price::Fixed(amount(price))),
        pricing: PricingTerms::default(),
        copies: offer.copies,
        remaining: offer.remaining,
        categories: offer.categories.iter().cloned().collect(),
    }
}

pub(crate) fn grants(grants: &[bourse::ConsentGrant]) -> Vec<ConsentGrant> {
    let grant = |grant: &bourse::ConsentGrant| ConsentGrant {
        member: address(grant.member),
        delegate: address(grant.delegate),
        delegate_type: grant.delegate_type.number(),
        catalog: CatalogId(grant.catalog.0),
        api_prefix: grant.api_prefix.clone(),
        updated: grant.updated,
        granted: grant.granted,
        attributes: grant.attributes.clone(),
    };
    grants.iter().map(grant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse::testing::{NOW, TestBatch};
    use bourse_policy::Batch;

    #[test]
    fn the_mock_packs_a_page_as_the_host_does() {
        let plain = bourse::testing::offer();
        let full = bourse::Offer {
            catalog: Some(bourse::CatalogId([7; 16])),
            provider: Some("seller-1".to_owned()),
            expires: Some(bourse::Nanos(NOW.0 + 9)),
            price: Some(bourse::Amount::MAX),
            copies: Some(3),
            remaining: Some(2),
            categories: vec![("a".to_owned(), "ä".to_owned()), ("b".to_owned(), String::new())],
            ..plain.clone()
        };
        for page in [vec![], vec![plain.clone()], vec![full.clone(), plain, full]] {
            let offers: Vec<Offer> = page.iter().map(offer).collect();
            let packed = Batch::of(&offers.iter().collect::<Vec<_>>());
            let mock = TestBatch::of(&page);
            assert_eq!((packed.bytes(), packed.count()), (mock.bytes(), mock.count()));
        }
    }
}
