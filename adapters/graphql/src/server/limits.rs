//! How much a document asks for, told before anything is asked.

use super::introspection::{Introspection, Place, Sizes};
use crate::model::{MUTATION, Model, QUERY, SUBSCRIPTION, Source};
use crate::scalar::Given;
use juniper::{Definition, InputValue, Operation, OperationType, Selection, Variables};
use std::collections::BTreeMap;

/// What a field counts that asks a port.
const ASKS: u64 = 10;

/// The entries of a page that does not say how many.
const USUAL: u64 = 100;

/// The operation of this name, or the only one.
pub(crate) fn operation<'d, 'a>(
    document: &'d [Definition<'a, Given>],
    name: Option<&str>,
) -> Option<&'d Operation<'a, Given>> {
    let mut operations = document.iter().filter_map(|definition| match definition {
        Definition::Operation(operation) => Some(&operation.item),
        Definition::Fragment(_) => None,
    });
    match name {
        Some(name) => operations.find(|operation| operation.name.as_ref().is_some_and(|own| own.item == name)),
        None => operations.next(),
    }
}

/// Deeper than any document that juniper takes; a cycle of fragments, which it refuses, ends here.
pub(super) const DEEPEST: usize = 256;

/// How much an operation asks for.
pub(crate) struct Complexity {
    pub(crate) own: u64,
    /// Of that, what it asks of the schema itself.
    pub(crate) of_schema: u64,
}

/// How much the operation asks for: a field counts 1, one that asks a port 10, and what is below a page as often as the
/// page may have entries: those that it asks for, and at most as many as any page has.
pub(crate) fn complexity(
    (model, sizes): (&Model, &Sizes),
    document: &[Definition<'_, Given>],
    operation: &Operation<'_, Given>,
    variables: &Variables<Given>,
    page: u32,
) -> Complexity {
    let fragments = document.iter().filter_map(|definition| match definition {
        Definition::Fragment(fragment) => Some((fragment.item.name.item, fragment.item.selection_set.as_slice())),
        Definition::Operation(_) => None,
    });
    let root = match operation.operation_type {
        OperationType::Query => QUERY,
        OperationType::Mutation => MUTATION,
        OperationType::Subscription => SUBSCRIPTION,
    };
    let conditions = document.iter().filter_map(|definition| match definition {
        Definition::Fragment(fragment) => Some((fragment.item.name.item, fragment.item.type_condition.item)),
        Definition::Operation(_) => None,
    });
    let fragments = fragments.collect();
    let mut counting = Counting {
        model,
        introspection: Introspection { sizes, fragments: &fragments, known: BTreeMap::new() },
        of_schema: 0.0,
        variables,
        page: page.into(),
        fragments: &fragments,
        conditions: conditions.collect(),
        known: BTreeMap::new(),
    };
    let own = counting.selections(root, &operation.selection_set, 0);
    Complexity { own, of_schema: whole(counting.of_schema) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not negative; too much is the most")]
fn whole(count: f64) -> u64 {
    count as u64
}

struct Counting<'c, 'a> {
    model: &'c Model,
    variables: &'c Variables<Given>,
    page: u64,
    introspection: Introspection<'c, 'a>,
    of_schema: f64,
    fragments: &'c BTreeMap<&'a str, &'c [Selection<'a, Given>]>,
    conditions: BTreeMap<&'a str, &'a str>,
    /// What each fragment counts, so that one that is spread often is counted once.
    known: BTreeMap<&'a str, u64>,
}

impl<'c, 'a> Counting<'c, 'a> {
    fn selections(&mut self, of: &str, selections: &'c [Selection<'a, Given>], depth: usize) -> u64 {
        if depth > DEEPEST {
            return 0;
        }
        let mut total = 0_u64;
        for selection in selections {
            total = total.saturating_add(match selection {
                Selection::Field(field) => {
                    let field = &field.item;
                    let arguments = field.arguments.as_ref().map(|arguments| arguments.item.items.as_slice());
                    let number = |name: &str| {
                        let (_, value) = arguments?.iter().find(|(own, _)| own.item == name)?;
                        self.number(&value.item)
                    };
                    let entries = number("first").or_else(|| number("last")).unwrap_or(USUAL).min(self.page);
                    let selections = field.selection_set.as_deref().unwrap_or_default();
                    self.field(of, field.name.item, entries, selections, depth)
                }
                Selection::InlineFragment(fragment) => {
                    let of = fragment.item.type_condition.as_ref().map_or(of, |condition| condition.item);
                    self.selections(of, &fragment.item.selection_set, depth + 1)
                }
                Selection::FragmentSpread(spread) => self.fragment(spread.item.name.item, depth),
            });
        }
        total
    }

    fn fragment(&mut self, name: &'a str, depth: usize) -> u64 {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let (Some(selections), Some(of)) = (self.fragments.get(name).copied(), self.conditions.get(name).copied())
        else {
            return 0;
        };
        // While it is being counted, one within itself counts nothing.
        self.known.insert(name, 0);
        let total = self.selections(of, selections, depth + 1);
        self.known.insert(name, total);
        total
    }

    /// A field, with so many entries if it is a page.
    fn field(
        &mut self,
        of: &str,
        name: &str,
        entries: u64,
        selections: &'c [Selection<'a, Given>],
        depth: usize,
    ) -> u64 {
        if name == "__schema" || name == "__type" {
            let asked = self.introspection.count(selections, Place::Elsewhere, depth);
            self.of_schema += asked;
            return whole(asked);
        }
        let Some(member) = self.model.field(of, name) else { return 1 };
        let own = if matches!(member.source, Source::Call(_)) { ASKS } else { 1 };
        let below = self.selections(member.ty.innermost(), selections, depth + 1);
        let is_page = member.arguments.iter().any(|argument| argument.name == "first");
        own.saturating_add(below.saturating_mul(if is_page { entries } else { 1 }))
    }

    fn number(&self, value: &InputValue<Given>) -> Option<u64> {
        let value = match value {
            InputValue::Variable(name) => self.variables.get(name)?,
            value => value,
        };
        value.as_scalar()?.whole()?.as_u64()
    }
}
