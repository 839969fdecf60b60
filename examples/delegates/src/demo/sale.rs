//! What the demo has to tell.

use bourse_market::{Amount, KeyId, Seq};
use core::fmt;

/// A sale, as the buyer saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// What the data is about.
    pub product: &'static str,
    /// The key.
    pub key: KeyId,
    /// What it costs while nobody wants it.
    pub base: Amount,
    /// What it cost now.
    pub price: Amount,
    /// Sales of the product in the window that the price looks at, before this one.
    pub demand: usize,
    /// What the buyer's channel holds afterwards.
    pub balance: Amount,
    /// The position of that channel afterwards; it started at 1.
    pub seq: Seq,
    /// The payload was decrypted with the key, and is the one that was published.
    pub decrypted: bool,
}

/// One line, its columns in place.
impl fmt::Display for Sale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key: String = self.key.to_string().chars().skip(2).take(8).collect();
        let payload = if self.decrypted {
            "decrypted"
        } else {
            "NOT DECRYPTED"
        };
        write!(
            f,
            "{:<11} key {key}  base {:>5}  price {:>8}  demand {:>3}  balance {:>12}  seq {:>6}  {payload}",
            self.product,
            short(self.base),
            short(self.price),
            self.demand,
            short(self.balance),
            self.seq.0,
        )
    }
}

/// Tokens with two decimals, cut and not rounded: nobody has more than it says.
fn short(amount: Amount) -> String {
    let text = amount.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let cents: String = fraction.chars().chain("00".chars()).take(2).collect();
    format!("{whole}.{cents}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_reads_as_one_line() {
        let sale = Sale {
            product: "temperature",
            key: KeyId([0xab; 16]),
            base: Amount::from_tokens(10),
            price: Amount::parse_tokens("13.4").unwrap(),
            demand: 22,
            balance: Amount::parse_tokens("99531.059").unwrap(),
            seq: Seq(43),
            decrypted: true,
        };
        assert_eq!(
            sale.to_string(),
            "temperature key abababab  base 10.00  price    13.40  demand  22  balance     99531.05  seq     43  \
             decrypted"
        );
    }
}
