//! Why a price is what it is, in sentences. Each says what is on record, and none what somebody may have meant.

use crate::output::many;
use bourse_market::{PriceSource, VoidReason};
use bourse_policy::{
    Action, Answer, Args, Bound, FiguresRecord, ImportCall, Input, Output, PriceInput, Record, SubjectRecord,
};
use bourse_store::Posted;
use std::fmt::Display;

/// Questions of a policy that are told one by one.
const QUESTIONS: usize = 8;

/// How a decision came about.
pub(super) fn of_decision(record: &Record) -> Vec<String> {
    let mut words = vec![asked(record)];
    if let Input::Pricing(input) = &record.input {
        words.extend(grounds(input));
    }
    words.extend(record.imports.iter().take(QUESTIONS).map(question));
    if record.imports.len() > QUESTIONS {
        let more = record.imports.len().saturating_sub(QUESTIONS);
        words.push(format!(
            "It asked and wrote {more} more things; all are in the record below."
        ));
    }
    words.push(answered(record));
    words
}

/// How a sale came to its price; `record` is the decision behind that, where there is one.
pub(super) fn of_sale(posted: &Posted, record: Option<&Record>) -> Vec<String> {
    let sale = &posted.sale;
    let mut words = vec![match (&posted.source, record.map(|record| &record.output)) {
        (PriceSource::Fixed, _) => {
            "The offer names this price itself, and no rule has a policy work over it.".to_owned()
        }
        (PriceSource::Seller, _) => {
            "The offer names no price and no rule prices it: its seller was asked, and named this one."
                .to_owned()
        }
        (PriceSource::Policy(_), Some(Output::Price { .. })) => "A policy found this price.".to_owned(),
        (PriceSource::Policy(_), Some(_)) => {
            "The policy had no answer, so the price that its rule names for that case stood in.".to_owned()
        }
        (PriceSource::Policy(id), None) => {
            format!("A policy found this price, but its decision {id} cannot be read.")
        }
    }];
    if let Some(record) = record
        && record.input.action() == Action::Quote
    {
        let waited = posted.reserved.0.saturating_sub(record.at_ns.0) / 1_000_000;
        words.push(format!(
            "The buyer was quoted it {waited} ms before it bought, and the quote still held."
        ));
    }
    let credit = sale.price.checked_sub(posted.fee).unwrap_or_default();
    let credited = match posted.escrowed {
        true => format!("{credit} are owed to the seller, whose key was in escrow"),
        false => format!("{credit} went to the seller"),
    };
    words.push(format!(
        "The buyer paid {}, of which {credited}, and {} stayed with the market. It would have paid {} at most.",
        sale.price, posted.fee, posted.most
    ));
    words
}

/// What became of a purchase that was not paid.
pub(super) fn of_unpaid(void: Option<&VoidReason>) -> String {
    match void {
        Some(reason) => format!(
            "This purchase was undone, and its buyer charged nothing: {} ({}).",
            reason.text, reason.error
        ),
        None => "This purchase is under way: its seller was asked, and has not answered yet.".to_owned(),
    }
}

fn asked(record: &Record) -> String {
    let about = match &record.input {
        Input::Pricing(input) => format!("the price of key {}", short(input.offer.key)),
        Input::Admit(input) => format!("whether key {} may be offered", short(input.offer.key)),
        Input::Filter(input) => match input.count {
            1 => "whether this buyer may see the offer".to_owned(),
            count => format!("which of {count} offers this buyer may see"),
        },
        Input::Consent(_) => "whether the two parties may deal".to_owned(),
    };
    let who = match record.input.buyer() {
        Some(buyer) => format!("buyer {}", short(buyer)),
        None => "a buyer who had not proven who it is".to_owned(),
    };
    let procedure = match record.input.action() {
        Action::Place => "place_offer",
        Action::Query => "query_offers",
        Action::Quote => "get_quote",
        Action::Buy => "buy_key",
    };
    format!("In {procedure}, {} was asked {about}, for {who}.", record.policy)
}

/// Between what a price had to lie, and what it starts from.
fn grounds(input: &PriceInput) -> Vec<String> {
    let base = match (input.base, super::sales::base_of_params(&input.params)) {
        (Some(base), _) => format!("It worked over the offer's own price of {}.", base.0),
        (None, Some(base)) => format!("The offer names no price; its parameters name a base of {base}."),
        (None, None) => "Neither the offer nor its parameters name a base: it took its own.".to_owned(),
    };
    let bounds = format!(
        "The price had to lie between {} and {}.",
        input.floor.0, input.cap.0
    );
    let params = match input.params.trim() {
        "" | "{}" => None,
        params => Some(format!("Its parameters were {}.", cut(params))),
    };
    [Some(base), params, Some(bounds)].into_iter().flatten().collect()
}

fn question(call: &ImportCall) -> String {
    match (&call.args, &call.answer) {
        (Args::Demand { subject, window_ms }, Answer::Figures(figures)) => format!(
            "It asked for the demand of {} in the last {} s: {}.",
            of(*subject),
            f64::from(*window_ms) / 1000.0,
            demand(figures)
        ),
        (Args::Get { key }, Answer::Value(value)) => match value {
            None => format!(
                "It looked up `{}` in its memory, and nothing was there.",
                cut(key)
            ),
            Some(value) => format!(
                "It looked up `{}` in its memory: {} bytes.",
                cut(key),
                value.0.len()
            ),
        },
        (Args::Counter { key }, Answer::Count(count)) => {
            format!("It read its counter `{}`: {count}.", cut(key))
        }
        (Args::Set { key, value }, _) => match value {
            None => format!(
                "It wanted to forget `{}`, once a purchase comes of this.",
                cut(key)
            ),
            Some(value) => format!(
                "It wanted to remember {} bytes as `{}`, once a purchase comes of this.",
                value.0.len(),
                cut(key)
            ),
        },
        (Args::Add { key, delta }, _) => {
            format!(
                "It wanted to add {delta} to its counter `{}`, once a purchase comes of this.",
                cut(key)
            )
        }
        (Args::Line { text, .. }, _) => format!("It wrote into the log: {}", cut(text)),
        _ => format!("It called {}.", call.name),
    }
}

fn of(subject: SubjectRecord) -> String {
    match subject {
        SubjectRecord::Key(id) => format!("key {}", short(id)),
        SubjectRecord::Api(id) => format!("API {}", short(id)),
        SubjectRecord::Seller(id) => format!("seller {}", short(id)),
        SubjectRecord::Buyer(id) => format!("buyer {}", short(id)),
    }
}

fn demand(figures: &FiguresRecord) -> String {
    let FiguresRecord {
        sales,
        volume,
        quotes,
        last_price,
        ..
    } = figures;
    let quotes = many(*quotes, "quote");
    if *sales == 0 {
        // The last price is that of the last sale ever.
        let before = last_price.map_or_else(String::new, |price| {
            format!(", the one before was for {}", price.0)
        });
        return format!("no sale{before}; {quotes}");
    }
    let last = last_price.map_or_else(String::new, |price| format!(", the last one for {}", price.0));
    format!("{} for {} in all{last}; {quotes}", many(*sales, "sale"), volume.0)
}

fn answered(record: &Record) -> String {
    match &record.output {
        Output::Price {
            asked,
            amount,
            valid_ms,
            bounded,
            ..
        } => {
            let holds = f64::from(*valid_ms) / 1000.0;
            match bounded {
                None => format!("It said {}, to hold for {holds} s.", asked.0),
                Some(bound) => {
                    let bound = match bound {
                        Bound::Floor => "floor",
                        Bound::Cap => "cap",
                    };
                    format!(
                        "It said {}; the {bound} made that {}, to hold for {holds} s.",
                        asked.0, amount.0
                    )
                }
            }
        }
        Output::Refusal { code, text } => format!("It refused: {} ({}).", cut(text), cut(code)),
        Output::Failure(failure) => format!("It failed: {failure}."),
        Output::Admitted => "It let the offer in.".to_owned(),
        Output::Shown { indices } => match indices.len() {
            0 => "It showed none: to this buyer the offer does not exist.".to_owned(),
            shown => format!("It showed {shown}."),
        },
        Output::Allowed => "It allowed it.".to_owned(),
    }
}

/// Enough of an identifier to tell it from others, as the page writes it.
fn short(id: impl Display) -> String {
    let text: Vec<char> = id.to_string().chars().collect();
    match text.as_slice() {
        [one, two, three, four, five, six, seven, eight, .., a, b, c, d] => {
            let (begins, ends) = ([one, two, three, four, five, six, seven, eight], [a, b, c, d]);
            begins.into_iter().chain([&'…']).chain(ends).collect()
        }
        whole => whole.iter().collect(),
    }
}

fn cut(text: &str) -> String {
    /// Characters of a text that strangers may have a say in.
    const MOST: usize = 200;
    let mut cut: String = text.chars().take(MOST).filter(|c| !c.is_control()).collect();
    if text.chars().nth(MOST).is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_market::Amount;
    use bourse_policy::Units;

    #[test]
    fn demand_tells_a_last_price_apart_from_sales_of_the_window() {
        let tokens = |number| Units(Amount::from_tokens(number));
        let figures = |sales, last_price| FiguresRecord {
            sales,
            volume: tokens(10 * sales),
            quotes: 2,
            last_price,
            last_at: None,
        };
        assert_eq!(demand(&figures(0, None)), "no sale; 2 quotes");
        assert_eq!(
            demand(&figures(0, Some(tokens(10)))),
            "no sale, the one before was for 10; 2 quotes"
        );
        assert_eq!(
            demand(&figures(1, Some(tokens(10)))),
            "1 sale for 10 in all, the last one for 10; 2 quotes"
        );
        assert_eq!(
            demand(&figures(3, Some(tokens(12)))),
            "3 sales for 30 in all, the last one for 12; 2 quotes"
        );
    }
}
