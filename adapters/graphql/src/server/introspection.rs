//! How much a document asks of the schema itself. Its types refer to each other in circles, so that a few fields within
//! each other ask for more than any server has.

use crate::model::{Model, Shape};
use crate::scalar::Given;
use juniper::Selection;
use std::collections::BTreeMap;

/// What tools ask of a schema, in full. So much of it counts nothing.
pub(super) const USUAL: &str = "query {
    __schema {
        description
        queryType { name kind } mutationType { name kind } subscriptionType { name kind }
        types { ...FullType }
        directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } }
    }
}
fragment FullType on __Type {
    kind name description specifiedByURL isOneOf
    fields(includeDeprecated: true) {
        name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason
    }
    inputFields(includeDeprecated: true) { ...InputValue }
    interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue {
    name description type { ...TypeRef } defaultValue isDeprecated deprecationReason
}
fragment TypeRef on __Type {
    kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
        ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }
}";

/// How long the lists of a schema are: of all types together, and the longest.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    types: f64,
    fields: List,
    arguments: List,
    inputs: List,
    values: List,
    members: List,
    interfaces: List,
}

#[derive(Debug, Default, Clone, Copy)]
struct List {
    all: f64,
    longest: f64,
}

impl List {
    fn add(&mut self, length: usize) {
        let length = u32::try_from(length).map_or(f64::INFINITY, f64::from);
        self.all += length;
        self.longest = self.longest.max(length);
    }
}

impl Sizes {
    pub(super) fn of(model: &Model) -> Self {
        let mut sizes = Self::default();
        for of in model.names().filter_map(|name| model.get(name)) {
            sizes.types += 1.0;
            match &of.shape {
                Shape::Scalar(_) => {}
                Shape::Enum(choices) => sizes.values.add(choices.len()),
                Shape::Input(fields) => sizes.inputs.add(fields.len()),
                Shape::Union(members) => sizes.members.add(members.len()),
                Shape::Object { fields, interfaces } => {
                    sizes.interfaces.add(interfaces.len());
                    sizes.members.add(interfaces.len());
                    sizes.fields.add(fields.len());
                    fields.iter().for_each(|field| sizes.arguments.add(field.arguments.len()));
                }
                Shape::Interface(fields) => sizes.fields.add(fields.len()),
            }
        }
        sizes
    }

    /// How many there are of this field's value, for each that it is a field of.
    fn many(&self, place: Place, field: &str) -> (f64, Place) {
        let of_types = |list: List| match place {
            Place::Types => (list.all / self.types.max(1.0), Place::Elsewhere),
            _ => (list.longest, Place::Elsewhere),
        };
        match (field, place) {
            ("types", _) => (self.types, Place::Types),
            ("fields", Place::Types) => (of_types(self.fields).0, Place::Fields),
            ("fields", _) => of_types(self.fields),
            ("args", Place::Fields) => (self.arguments.all / self.fields.all.max(1.0), Place::Elsewhere),
            ("args", _) => (self.arguments.longest, Place::Elsewhere),
            ("inputFields", _) => of_types(self.inputs),
            ("enumValues", _) => of_types(self.values),
            ("possibleTypes", _) => of_types(self.members),
            ("interfaces", _) => of_types(self.interfaces),
            _ => (1.0, Place::Elsewhere),
        }
    }
}

/// Of what a field is a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Of every type of the schema, each once.
    Types,
    /// Of every field of every type.
    Fields,
    /// Of anything else: whichever is the longest.
    Elsewhere,
}

/// Counts fields, each as often as it is answered.
pub(super) struct Introspection<'c, 'a> {
    pub(super) sizes: &'c Sizes,
    pub(super) fragments: &'c BTreeMap<&'a str, &'c [Selection<'a, Given>]>,
    /// What each fragment counts where it is, so that one that is spread often is counted once.
    pub(super) known: BTreeMap<(&'a str, Place), f64>,
}

impl<'c, 'a> Introspection<'c, 'a> {
    pub(super) fn count(&mut self, selections: &'c [Selection<'a, Given>], place: Place, depth: usize) -> f64 {
        if depth > super::limits::DEEPEST {
            return 0.0;
        }
        let one = |selection: &'c Selection<'a, Given>| match selection {
            Selection::Field(field) => {
                let field = &field.item;
                let (many, below) = self.sizes.many(place, field.name.item);
                1.0 + many * self.count(field.selection_set.as_deref().unwrap_or_default(), below, depth + 1)
            }
            Selection::InlineFragment(fragment) => self.count(&fragment.item.selection_set, place, depth + 1),
            Selection::FragmentSpread(spread) => {
                let name = spread.item.name.item;
                if let Some(known) = self.known.get(&(name, place)) {
                    return *known;
                }
                let Some(selections) = self.fragments.get(name).copied() else { return 0.0 };
                // While it is being counted, one within itself counts nothing.
                self.known.insert((name, place), 0.0);
                let total = self.count(selections, place, depth + 1);
                self.known.insert((name, place), total);
                total
            }
        };
        selections.iter().map(one).sum()
    }
}
