#[automatically_derived]
impl crate::domain::Command for Deposit {
    const NAME: &'static str = "deposit";
    const DESCRIPTION: &'static str = "Pays into an account.";
    fn schema() -> ::core::option::Option<crate::__private::Value> {
        #[derive(crate::__private::schemars::JsonSchema)]
        /// Pays into an account.
        #[schemars(crate = "crate::__private::schemars")]
        #[allow(dead_code)]
        struct Deposit {
            account_id: String,
            #[validate(range(min = 1))]
            amount: u64,
        }
        ::core::option::Option::Some(crate::domain::schema::of_input::<Deposit>())
    }
    fn validate(&self) -> crate::__private::Vec<crate::ports::Violation> {
        crate::domain::validation::violations(
            self,
            &[("account_id", "account_id"), ("amount", "amount")],
        )
    }
}
#[automatically_derived]
impl crate::domain::StreamCommand for Deposit {
    const CATEGORY: ::core::option::Option<&'static str> = ::core::option::Option::Some(
        "account",
    );
    fn stream(
        &self,
    ) -> ::core::result::Result<crate::values::StreamId, crate::values::InvalidName> {
        crate::values::StreamId::new(
            crate::__private::format!("account-{}", self.account_id),
        )
    }
}

#[automatically_derived]
impl crate::domain::Event for AccountEvent {
    const CATEGORY: &'static str = "account";
    const FORMAT: crate::values::Format = <crate::domain::Json as crate::domain::Codec>::FORMAT;
    const VARIANTS: &'static [crate::domain::EventVariant] = &[
        crate::domain::EventVariant::new(
            "Opened",
            &[
                crate::domain::EventField::of::<String>("owner"),
                crate::domain::EventField::of::<String>("currency"),
            ],
        ),
        crate::domain::EventVariant::new(
            "Deposited",
            &[crate::domain::EventField::of::<u64>("amount")],
        ),
        crate::domain::EventVariant::new("Closed", &[]),
    ];
    fn event_type(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "account.opened",
            Self::Deposited { .. } => "account.deposited",
            Self::Closed { .. } => "account.closed",
        }
    }
    fn version(&self) -> u32 {
        2
    }
    fn history() -> crate::domain::history::History {
        crate::domain::history::History::new()
            .current("account.opened", 2)
            .current("account.deposited", 2)
            .current("account.closed", 2)
            .hop(
                crate::domain::history::Hop::from("account.opened", 1)
                    .add_as::<String>("currency", "EUR")
                    .to("account.opened", 2),
            )
            .hop(
                crate::domain::history::Hop::from("account.paid-in", 1)
                    .to("account.deposited", 2),
            )
            .hop(
                crate::domain::history::Hop::from("account.closed", 1)
                    .to("account.closed", 2),
            )
    }
    fn schemas() -> crate::__private::Vec<crate::domain::EventSchema> {
        #[allow(unused_imports)]
        use crate::__private::WithoutSchemas as _;
        crate::__private::Schemas::<
            Self,
        >::of_events(
            &[
                ("account.opened", "Opened", 2),
                ("account.deposited", "Deposited", 2),
                ("account.closed", "Closed", 2),
            ],
        )
    }
    fn tags(
        &self,
    ) -> ::core::result::Result<
        crate::__private::Vec<crate::values::Tag>,
        crate::values::InvalidName,
    > {
        ::core::result::Result::Ok(
            match self {
                Self::Opened { owner, .. } => {
                    crate::__private::vec![
                        crate ::values::Tag::new(crate ::__private::format!("owner:{}",
                        owner)) ?
                    ]
                }
                _ => crate::__private::Vec::new(),
            },
        )
    }
    fn field(&self, name: &str) -> ::core::option::Option<&dyn ::core::any::Any> {
        match (self, name) {
            (Self::Opened { owner, .. }, "owner") => ::core::option::Option::Some(owner),
            (Self::Opened { currency, .. }, "currency") => {
                ::core::option::Option::Some(currency)
            }
            (Self::Deposited { amount, .. }, "amount") => {
                ::core::option::Option::Some(amount)
            }
            _ => ::core::option::Option::None,
        }
    }
    fn encode(&self) -> ::core::result::Result<crate::Bytes, crate::domain::CodecError> {
        crate::domain::variant::encode_as::<crate::domain::Json, Self>(self)
    }
    fn decode(
        raw: &crate::ports::RawEvent,
    ) -> ::core::result::Result<Self, crate::domain::EventError> {
        let names = ["account.opened", "account.deposited", "account.closed"];
        crate::domain::variant::decode_as::<
            crate::domain::Json,
            Self,
        >(&names, &raw.event_type, &raw.payload)
    }
}

const _: () = crate::__private::has_a_message::<Refused>();
#[automatically_derived]
impl crate::domain::Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::InsufficientFunds { .. } => "insufficient-funds",
        }
    }
    fn from_parts(
        code: &str,
        fields: &crate::__private::Value,
    ) -> ::core::option::Option<Self> {
        let codes = ["insufficient-funds"];
        crate::domain::variant::from_parts(&codes, code, fields)
    }
}

#[automatically_derived]
impl crate::drivers::Question for AccountQuery {
    const NAME: &'static str = "account";
    const DESCRIPTION: &'static str = "An account as it stands.";
    type Answer = AccountView;
    fn schema() -> ::core::option::Option<crate::__private::Value> {
        #[derive(crate::__private::schemars::JsonSchema)]
        /// An account as it stands.
        #[schemars(crate = "crate::__private::schemars")]
        #[allow(dead_code)]
        struct AccountQuery {
            account_id: String,
        }
        ::core::option::Option::Some(crate::domain::schema::of_input::<AccountQuery>())
    }
    fn answer_schema() -> ::core::option::Option<crate::__private::Value> {
        ::core::option::Option::Some(crate::domain::schema::of_output::<AccountView>())
    }
}

const _: () = assert!(
    ! crate ::__private::is_same(< AccountEvent as crate ::domain::Event > ::CATEGORY, <
    OwnerEvent as crate ::domain::Event > ::CATEGORY,),
    "`Account` and `Owner` are events of one category, by which an event of the set is told; make one event type of both"
);
#[automatically_derived]
impl crate::domain::EventSet for BankEvent {
    const CATEGORIES: &'static [&'static str] = &[
        <AccountEvent as crate::domain::Event>::CATEGORY,
        <OwnerEvent as crate::domain::Event>::CATEGORY,
    ];
    const SHAPES: &'static [crate::domain::EventShape] = &[
        crate::domain::EventShape::of::<AccountEvent>(),
        crate::domain::EventShape::of::<OwnerEvent>(),
    ];
    fn histories(histories: &mut crate::domain::history::Histories) {
        histories.event::<AccountEvent>();
        histories.event::<OwnerEvent>();
    }
    fn decode_in(
        category: &str,
        raw: &crate::ports::RawEvent,
    ) -> ::core::result::Result<Self, crate::domain::EventError> {
        match category {
            <AccountEvent as crate::domain::Event>::CATEGORY => {
                <AccountEvent as crate::domain::Event>::decode(raw).map(Self::Account)
            }
            _ => <OwnerEvent as crate::domain::Event>::decode(raw).map(Self::Owner),
        }
    }
    fn current_version(&self) -> u32 {
        match self {
            Self::Account(event) => crate::domain::Event::version(event),
            Self::Owner(event) => crate::domain::Event::version(event),
        }
    }
    fn field_named(&self, name: &str) -> ::core::option::Option<&dyn ::core::any::Any> {
        match self {
            Self::Account(event) => crate::domain::Event::field(event, name),
            Self::Owner(event) => crate::domain::Event::field(event, name),
        }
    }
}
#[automatically_derived]
impl crate::domain::Includes<AccountEvent> for BankEvent {
    fn part(&self) -> ::core::option::Option<&AccountEvent> {
        match self {
            Self::Account(event) => ::core::option::Option::Some(event),
            _ => ::core::option::Option::None,
        }
    }
}
#[automatically_derived]
impl crate::domain::Includes<OwnerEvent> for BankEvent {
    fn part(&self) -> ::core::option::Option<&OwnerEvent> {
        match self {
            Self::Owner(event) => ::core::option::Option::Some(event),
            _ => ::core::option::Option::None,
        }
    }
}

#[automatically_derived]
impl crate::domain::Row for Balance {
    const COLUMNS: &'static [crate::domain::RowColumn] = &[
        crate::domain::RowColumn::of::<String>("owner"),
        crate::domain::RowColumn::of::<u64>("balance"),
    ];
    const INDEXES: &'static [crate::domain::RowIndex] = &[
        crate::domain::RowIndex::new("owner", &["owner"]),
    ];
    fn to_cells(
        &self,
    ) -> ::core::result::Result<
        crate::__private::Vec<crate::values::Cell>,
        crate::domain::RowValueError,
    > {
        ::core::result::Result::Ok(
            crate::__private::vec![
                < String as crate ::domain::CellValue > ::to_cell(& self.owner) ?, < u64
                as crate ::domain::CellValue > ::to_cell(& self.balance) ?
            ],
        )
    }
    fn from_cells(
        cells: crate::__private::Vec<crate::values::Cell>,
    ) -> ::core::result::Result<Self, crate::domain::RowValueError> {
        let [owner, balance] = crate::domain::row_cells(cells)?;
        ::core::result::Result::Ok(Self {
            owner: <String as crate::domain::CellValue>::from_cell(owner)?,
            balance: <u64 as crate::domain::CellValue>::from_cell(balance)?,
        })
    }
}

#[automatically_derived]
impl crate::domain::Projection for Balance {
    const NAME: &'static str = "balance";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Self;
    fn key(
        event: &crate::domain::RecordedAs<AccountEvent>,
    ) -> ::core::option::Option<crate::__private::String> {
        ::core::option::Option::Some(crate::__private::String::from(event.stream().id()))
    }
    fn apply(
        row: &mut ::core::option::Option<Self>,
        event: &crate::domain::RecordedAs<AccountEvent>,
    ) {
        match <AccountEvent as crate::domain::Includes<
            AccountEvent,
        >>::part(&event.event) {
            ::core::option::Option::Some(AccountEvent::Deposited { amount, .. }) => {
                if let ::core::option::Option::Some(row) = row {
                    Self::deposited(row, amount);
                }
            }
            ::core::option::Option::Some(AccountEvent::Closed { .. }) => {
                *row = ::core::option::Option::None;
            }
            _ => {
                match row {
                    ::core::option::Option::Some(row) => {
                        if let ::core::option::Option::Some(value) = crate::domain::mapping::value::<
                            String,
                        >(&event.event, "owner") {
                            row.owner = value;
                        }
                        if let ::core::option::Option::Some(value) = crate::domain::mapping::value::<
                            u64,
                        >(&event.event, "balance") {
                            row.balance = value;
                        }
                    }
                    ::core::option::Option::None => {
                        let ::core::option::Option::Some(owner) = crate::domain::mapping::value::<
                            String,
                        >(&event.event, "owner") else { return };
                        let balance = crate::domain::mapping::value::<
                            u64,
                        >(&event.event, "balance");
                        *row = ::core::option::Option::Some(Self {
                            owner,
                            balance: balance.unwrap_or_default(),
                        });
                    }
                }
            }
        }
    }
    fn check() -> ::core::result::Result<(), crate::domain::mapping::MappingError> {
        crate::domain::mapping::Mapping {
            columns: &[
                crate::domain::mapping::MappedColumn::of::<String>("owner"),
                crate::domain::mapping::MappedColumn::of::<u64>("balance").or_default(),
            ],
            key: &[],
            handled: &[
                crate::domain::mapping::Handled::of::<
                    AccountEvent,
                >("Deposited", crate::domain::mapping::Does::Method),
                crate::domain::mapping::Handled::of::<
                    AccountEvent,
                >("Closed", crate::domain::mapping::Does::Delete),
            ],
        }
            .check::<AccountEvent>()
    }
}

#[automatically_derived]
impl crate::domain::saga::Saga for Transfers {
    const NAME: &'static str = "transfer-money";
    const DESCRIPTION: &'static str = "Moves money from one account to another.";
    type Input = TransferMoney;
    fn definition() -> crate::domain::saga::Definition<Self> {
        crate::domain::saga::Definition::new()
            .timeout(::core::time::Duration::from_secs(60))
            .step(
                crate::domain::saga::Step::new("debit", Self::debit)
                    .compensate(Self::refund)
                    .retry(
                        crate::domain::saga::Retry::attempts(5)
                            .longest(::core::time::Duration::from_secs(5)),
                    )
                    .compensation_timeout(::core::time::Duration::from_secs(10)),
            )
            .step(crate::domain::saga::Step::new("credit", Self::credit))
    }
    fn schema() -> ::core::option::Option<crate::__private::Value> {
        ::core::option::Option::Some(crate::domain::schema::of_input::<TransferMoney>())
    }
}
