//! A buyer after a crash: what it has is still worth something, what it asked for is answered.

use crate::load::{self, Trader, Unpaid};
use crate::market::Cycle;
use crate::plan::Dice;

/// Receipts that each buyer asks for again after each kill; the ledger itself is asked for all.
const REPLAYS: u64 = 4;

/// A buyer asks for its last order again, and for some of its receipts.
pub(crate) async fn come_back(trader: &mut Trader, cycle: &mut Cycle, dice: &mut Dice) -> Vec<String> {
    let mut findings = Vec::new();
    for _ in 0..REPLAYS.min(trader.receipts.len() as u64) {
        let number = usize::try_from(dice.below(trader.receipts.len() as u64)).unwrap();
        let (order, receipt) = trader.receipts.get(number).unwrap();
        match trader.buyer.send(order).await {
            Ok(again) if again == *receipt => {}
            other => findings.push(format!(
                "the receipt for {} tokens at seq {} is not replayed: {other:?}",
                receipt.paid, receipt.seq.0
            )),
        }
    }
    let books = (trader.buyer.seq, trader.buyer.balance);
    let posted = trader.buyer.posted().await;
    let Some(order) = trader.unanswered.take() else {
        return findings;
    };
    cycle.unanswered += 1;
    let was_paid = posted == (order.seq, order.balance);
    cycle.paid += usize::from(was_paid);
    if !was_paid && posted != books {
        findings.push(format!(
            "the market maker says {posted:?}, the books say {books:?}"
        ));
        return findings;
    }
    // Twice at the same time: one purchase, one receipt.
    let (mut refusals, mut others) = (0, 0);
    let (answer, other) = tokio::join!(
        load::insist(&trader.buyer, &order, &mut refusals),
        load::insist(&trader.buyer, &order, &mut others)
    );
    trader.refusals += refusals + others;
    if let (Ok(one), Ok(other)) = (&answer, &other)
        && one != other
    {
        findings.push(format!("one order, two receipts: {one:?} and {other:?}"));
    }
    match answer {
        Ok(receipt) => trader.keep(order, receipt),
        Err(Unpaid::Lost) => findings.push("the host is gone again".to_owned()),
        Err(Unpaid::Refused(why)) => {
            let charged = was_paid || trader.buyer.posted().await != books;
            let charged = if charged { "charged" } else { "not charged" };
            findings.push(format!(
                "the order at seq {} is refused, {charged}: {why}",
                order.seq.0
            ));
        }
    }
    findings
}
