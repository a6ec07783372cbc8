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
    fn event_type(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "account.opened",
            Self::Closed { .. } => "account.closed",
        }
    }
    fn tags(
        &self,
    ) -> ::core::result::Result<
        crate::__private::Vec<crate::values::Tag>,
        crate::values::InvalidName,
    > {
        ::core::result::Result::Ok(
            match self {
                Self::Opened { owner } => {
                    crate::__private::vec![
                        crate ::values::Tag::new(crate ::__private::format!("owner:{}",
                        owner)) ?
                    ]
                }
                _ => crate::__private::Vec::new(),
            },
        )
    }
    fn encode(&self) -> ::core::result::Result<crate::Bytes, crate::domain::CodecError> {
        crate::domain::variant::encode_as::<crate::domain::Json, Self>(self)
    }
    fn decode(
        raw: &crate::ports::RawEvent,
    ) -> ::core::result::Result<Self, crate::domain::EventError> {
        let names = ["account.opened", "account.closed"];
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
