//! What a transaction may cost.

use bourse_chain::{Header, Node, NodeError};
use bourse_market::outbox::GasPrice;

/// The least tip, in wei: a tenth of a gwei. Less, and nobody may take the transaction.
const LEAST_TIP: u64 = 100_000_000;
/// A form that takes the place of another pays an eighth more at least; nodes ask for a tenth.
const RAISE_PART: u64 = 8;

/// What the next block would take, as of the block `head`, never more than `most` wei for a unit of gas.
///
/// # Errors
///
/// [`NodeError`], if the node does not say.
pub(super) async fn now(node: &Node, head: &Header, most: u64) -> Result<GasPrice, NodeError> {
    let price = u64::try_from(node.gas_price().await?).unwrap_or(u64::MAX);
    let base = head
        .base_fee_per_gas
        .map(|base| u64::try_from(base).unwrap_or(u64::MAX));
    Ok(offer(price, base, most))
}

fn offer(price: u64, base: Option<u64>, most: u64) -> GasPrice {
    match base {
        None => GasPrice::Legacy {
            price: price.min(most),
        },
        // Twice the base fee: it grows by an eighth in a block at most.
        Some(base) => {
            let tip = price.saturating_sub(base).max(LEAST_TIP);
            market(base.saturating_mul(2).saturating_add(tip), tip, most)
        }
    }
}

fn market(limit: u64, tip: u64, most: u64) -> GasPrice {
    let limit = limit.min(most);
    GasPrice::Market {
        most: limit,
        tip: tip.min(limit),
    }
}

/// What takes the place of `last`: what the next block would take, and an eighth more than before at least, tip included.
/// None if that is more than `most`.
pub(super) fn raised(last: GasPrice, offer: GasPrice, most: u64) -> Option<GasPrice> {
    let eighth = |fee: u64| {
        fee.checked_add(fee.div_ceil(RAISE_PART).max(1))
            .filter(|fee| *fee <= most)
    };
    match (last, offer) {
        (
            GasPrice::Market { most: limit, tip },
            GasPrice::Market {
                most: now,
                tip: usual,
            },
        ) => {
            let tip = eighth(tip)?.max(usual);
            Some(market(eighth(limit)?.max(now), tip, most))
        }
        // A chain is of one kind or the other, but for the moment in which it changes.
        (last, offer) => {
            let price = eighth(last.most())?.max(offer.most());
            Some(match offer {
                GasPrice::Legacy { .. } => GasPrice::Legacy {
                    price: price.min(most),
                },
                GasPrice::Market { tip, .. } => market(price, tip, most),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GWEI: u64 = 1_000_000_000;

    #[test]
    fn an_offer_covers_twice_the_base_fee_and_no_more_than_is_allowed() {
        assert_eq!(
            offer(31 * GWEI, Some(30 * GWEI), 500 * GWEI),
            GasPrice::Market {
                most: 61 * GWEI,
                tip: GWEI
            }
        );
        let capped = offer(31 * GWEI, Some(30 * GWEI), 40 * GWEI);
        assert_eq!(capped.most(), 40 * GWEI);
        // On a chain from before the London fork.
        assert_eq!(
            offer(7 * GWEI, None, 5 * GWEI),
            GasPrice::Legacy { price: 5 * GWEI }
        );
        assert_eq!(offer(u64::MAX, Some(u64::MAX), 5).most(), 5);
    }

    #[test]
    fn a_form_that_takes_the_place_of_another_pays_an_eighth_more_in_each_part() {
        let last = GasPrice::Market { most: 80, tip: 9 };
        let low = GasPrice::Market { most: 20, tip: 1 };
        let high = GasPrice::Market { most: 300, tip: 40 };
        assert_eq!(
            raised(last, low, 1000),
            Some(GasPrice::Market { most: 90, tip: 11 })
        );
        assert_eq!(raised(last, high, 1000), Some(high));
        assert_eq!(
            raised(last, high, 200),
            Some(GasPrice::Market { most: 200, tip: 40 })
        );
        assert_eq!(raised(last, low, 89), None);
        let legacy = GasPrice::Legacy { price: 16 };
        assert_eq!(raised(legacy, legacy, 100), Some(GasPrice::Legacy { price: 18 }));
    }
}
