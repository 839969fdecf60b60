//! Whether everybody's books agree, to the unit.

use crate::{Buyer, Seller, World};
use bourse_market::Amount;

/// Fails the test unless the ledger is sound, each party's own books are what the market maker says of its channel,
/// and what all buyers paid is what all sellers got. The parties given must be all that ever traded in this world.
pub async fn assert_balanced(world: &World, buyers: &[&Buyer], sellers: &[&Seller]) {
    let report = world.verify();
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert_eq!(report.checked.sent, 0, "no purchase is left under way");
    let (mut debits, mut credits) = (Amount::ZERO, Amount::ZERO);
    for (number, buyer) in buyers.iter().enumerate() {
        assert_eq!(
            buyer.posted().await,
            (buyer.seq, buyer.balance),
            "the books of buyer {number}"
        );
        debits = debits.checked_add(buyer.paid()).unwrap();
    }
    for (number, seller) in sellers.iter().enumerate() {
        let (seq, balance) = seller.posted().await;
        assert_eq!((seq, balance), seller.books(), "the books of seller {number}");
        credits = credits
            .checked_add(seller.deposit.checked_sub(balance).unwrap())
            .unwrap();
    }
    let prepaid = report.sums.prepaid;
    assert_eq!(
        debits.checked_add(prepaid),
        Some(credits),
        "what the buyers paid is what the sellers got, but for what they got too early"
    );
    assert_eq!(
        (report.sums.debits, report.sums.credits),
        (debits, credits),
        "the ledger's sums"
    );
}
