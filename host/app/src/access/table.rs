//! The table: which procedure is for whom, in each kind of realm. What is not in it is for nobody.
//!
//! [docs/access.md](../../../../docs/access.md) is printed from it, and a test tries every cell against a running market.

use crate::config::Access;

/// As what somebody calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Whoever is none of the others.
    Anonymous,
    /// A member that is an actor of this market, logged in.
    Member,
    /// A delegate, logged in or proven by what it signed.
    Delegate,
    /// Of the role `operator`.
    Operator,
    /// Of the role `trusted`: the router that asks whom it may let in.
    Router,
    /// The market maker itself.
    MarketMaker,
}

impl Role {
    /// All, in the order of the table's columns.
    pub const ALL: [Self; 6] = [
        Self::Anonymous,
        Self::Member,
        Self::Delegate,
        Self::Operator,
        Self::Router,
        Self::MarketMaker,
    ];

    /// The head of its column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Member => "member",
            Self::Delegate => "delegate",
            Self::Operator => "operator",
            Self::Router => "router",
            Self::MarketMaker => "market maker",
        }
    }
}

/// What holds for one procedure and one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    /// It may call.
    Yes,
    /// It may not.
    No,
    /// It may call for what concerns it.
    Own,
    /// A signature in the call decides, whoever calls.
    Signed,
    /// It may call for what concerns it, and for anything with a signature.
    OwnOrSigned,
}

impl Cell {
    /// As the table spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "–",
            Self::Own => "own",
            Self::Signed => "signed",
            Self::OwnOrSigned => "own, signed",
        }
    }
}

/// What a call is about, by the argument that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// A channel: concerns its delegate and its actor.
    Channel(&'static str),
    /// A delegate: concerns itself and the member it is bound to.
    Delegate(&'static str),
    /// A member: concerns itself.
    Member(&'static str),
}

/// Who may call a procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Everybody.
    Everybody,
    /// Whoever trades here, and the operator.
    Traders,
    /// Whom it concerns, and the operator.
    Concerned(Object),
    /// Everybody but a member that asks about another.
    NotAnothers(Object),
    /// Whoever brings the signature that the procedure asks for.
    Signed,
    /// Whom it concerns, and whoever brings the signature of one of them.
    ConcernedOrSigned,
    /// Whoever is logged in.
    LoggedIn,
    /// The router.
    Router,
}

impl Rule {
    /// What it says of a role.
    pub fn cell(self, role: Role) -> Cell {
        use Role::{Anonymous, Delegate, MarketMaker, Member, Operator, Router};
        match (self, role) {
            (Self::Everybody, _) => Cell::Yes,
            (Self::Traders | Self::Concerned(_), Anonymous | Router) => Cell::No,
            (Self::Traders, _) => Cell::Yes,
            // What is a member's own is not its delegates'.
            (Self::Concerned(Object::Member(_)), Delegate) => Cell::No,
            (Self::Concerned(_), Member | Delegate) | (Self::NotAnothers(_), Member) => Cell::Own,
            (Self::Concerned(_) | Self::NotAnothers(_), _) => Cell::Yes,
            (Self::ConcernedOrSigned, Member | Delegate) => Cell::OwnOrSigned,
            (Self::Signed | Self::ConcernedOrSigned, _) => Cell::Signed,
            (Self::LoggedIn, Member | Delegate) | (Self::Router, Router | MarketMaker) => Cell::Yes,
            (Self::LoggedIn, Anonymous | Operator | Router | MarketMaker) | (Self::Router, _) => Cell::No,
        }
    }
}

/// One procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its URI.
    pub procedure: &'static str,
    /// Who may call it where `realm.access` is `open`.
    pub open: Rule,
    /// Where it is `members`.
    pub members: Rule,
}

impl Row {
    /// The row of a procedure.
    pub fn of(procedure: &str) -> Option<&'static Self> {
        TABLE.iter().find(|row| row.procedure == procedure)
    }

    /// The rule in a realm of that kind.
    pub fn rule(&self, access: Access) -> Rule {
        match access {
            Access::Open => self.open,
            Access::Members => self.members,
        }
    }
}

const fn same(procedure: &'static str, rule: Rule) -> Row {
    Row {
        procedure,
        open: rule,
        members: rule,
    }
}

/// Public as with the old market maker, or for those of whom `members` speaks.
const fn public(procedure: &'static str, members: Rule) -> Row {
    Row {
        procedure,
        open: Rule::Everybody,
        members,
    }
}

const CHANNEL: Rule = Rule::Concerned(Object::Channel("channel_oid"));
const DELEGATE: Rule = Rule::Concerned(Object::Delegate("delegate_adr"));

/// Every procedure.
pub const TABLE: &[Row] = &[
    same("xbr.marketmaker.status", Rule::Everybody),
    same("xbr.marketmaker.get_status", Rule::Everybody),
    // Without it nobody could sign a login.
    same("xbr.marketmaker.get_config", Rule::Everybody),
    same("xbr.marketmaker.get_gas_price", Rule::Everybody),
    public("xbr.marketmaker.get_transaction_receipt", Rule::Traders),
    public("xbr.marketmaker.place_offer", Rule::ConcernedOrSigned),
    public("xbr.marketmaker.get_offer", Rule::Traders),
    public("xbr.marketmaker.query_offers", Rule::Traders),
    same("xbr.marketmaker.revoke_offer", Rule::ConcernedOrSigned),
    public("xbr.marketmaker.get_quote", Rule::Traders),
    same("xbr.marketmaker.buy_key", Rule::Signed),
    same("xbr.marketmaker.open_channel", Rule::Signed),
    same("xbr.marketmaker.close_channel", Rule::Signed),
    same("bourse.market.renew_voucher", Rule::Signed),
    public("xbr.marketmaker.get_payment_channel", CHANNEL),
    public("xbr.marketmaker.get_paying_channel", CHANNEL),
    public("xbr.marketmaker.get_payment_channel_balance", CHANNEL),
    public("xbr.marketmaker.get_paying_channel_balance", CHANNEL),
    public("xbr.marketmaker.get_active_payment_channel", DELEGATE),
    public("xbr.marketmaker.get_active_paying_channel", DELEGATE),
    public("xbr.marketmaker.get_channels_by_delegate", DELEGATE),
    public(
        "xbr.marketmaker.get_channels_by_actor",
        Rule::Concerned(Object::Member("member_adr")),
    ),
    same("xbr.marketmaker.set_consent", Rule::Signed),
    public("xbr.marketmaker.get_consent", Rule::Traders),
    public("xbr.marketmaker.find_consents", Rule::Traders),
    Row {
        procedure: "xbr.marketmaker.get_catalogs_by_owner",
        open: Rule::NotAnothers(Object::Member("owner_adr")),
        members: Rule::Concerned(Object::Member("owner_adr")),
    },
    same("xbr.marketmaker.authenticator.authenticate", Rule::Router),
    same("xbr.marketmaker.authenticator.logout", Rule::LoggedIn),
    // There on this machine alone, and without a chain.
    same("bourse.dev.fund", Rule::Everybody),
];

/// The table for people to read.
pub fn in_words() -> String {
    let mut text = String::new();
    for (access, title) in [
        (Access::Open, "`realm.access = \"open\"`"),
        (Access::Members, "`realm.access = \"members\"`"),
    ] {
        text.push_str(&format!("### {title}\n\n| procedure |"));
        Role::ALL
            .iter()
            .for_each(|role| text.push_str(&format!(" {} |", role.name())));
        text.push_str(&format!("\n|---|{}\n", "---|".repeat(Role::ALL.len())));
        for row in TABLE {
            let short = row
                .procedure
                .strip_prefix("xbr.marketmaker.")
                .unwrap_or(row.procedure);
            text.push_str(&format!("| `{short}` |"));
            for role in Role::ALL {
                text.push_str(&format!(" {} |", row.rule(access).cell(role).name()));
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop")]
mod tests {
    use super::*;

    /// Where the document keeps the table.
    const FROM: &str = "<!-- printed by host/app/src/access/table.rs -->\n";
    const TO: &str = "<!-- printed until here -->";

    #[test]
    fn the_document_shows_the_table_as_it_is() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/access.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, rest) = text.split_once(FROM).unwrap();
        let (shown, after) = rest.split_once(TO).unwrap();
        if std::env::var_os("BOURSE_PRINT").is_some() {
            std::fs::write(path, format!("{before}{FROM}\n{}{TO}{after}", in_words())).unwrap();
            return;
        }
        assert_eq!(
            shown.trim(),
            in_words().trim(),
            "run this test with BOURSE_PRINT=1 to print it anew"
        );
    }

    #[test]
    fn every_procedure_is_there_once() {
        let mut seen = std::collections::BTreeSet::new();
        assert!(TABLE.iter().all(|row| seen.insert(row.procedure)));
    }
}
