//! `#[derive(Row)]`.

use crate::attributes::{known_key, named_fields, once, read};
use crate::kernel;
use crate::names::{Named, hint, unraw};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Field, FieldsNamed, Ident, Path, Result, Token};

pub(crate) const WHAT: &str = "a row of a read model";
pub(crate) const SUCH_AS: &str = "struct Balance { owner: String, balance: u64 }";

struct Column<'a> {
    field: &'a Field,
    ident: &'a Ident,
    name: Named,
    is_json: bool,
}

struct Index {
    name: Named,
    columns: Vec<String>,
    is_unique: bool,
}

pub(crate) fn derive(input: &DeriveInput, kernel: &Path) -> Result<TokenStream> {
    let fields = named_fields(input, WHAT, SUCH_AS)?;
    let (columns, mut indexes) = columns(fields)?;
    indexes.extend(indexes_over_several(input, &columns)?);
    refuse_twins(columns.iter().map(|column| &column.name), "columns", "`#[row(rename = \"…\")]`")?;
    refuse_twins(indexes.iter().map(|index| &index.name), "indexes", "`#[row(index = \"…\")]`")?;

    let domain = quote!(#kernel::domain);
    let ident = &input.ident;
    let told = columns.iter().map(|Column { field, name, is_json, .. }| {
        let (kind, name) = (&field.ty, &name.text);
        if *is_json { quote!(#domain::RowColumn::json(#name)) } else { quote!(#domain::RowColumn::of::<#kind>(#name)) }
    });
    let indexes = indexes_const(&indexes, kernel);
    // Errors about its type point to its type.
    let written = columns.iter().map(|Column { field, ident, is_json, .. }| {
        let (kind, kernel) = (&field.ty, kernel::at(kernel, field.ty.span()));
        if *is_json {
            quote_spanned!(kind.span()=> #kernel::domain::json_cell(&self.#ident)?)
        } else {
            quote!(<#kind as #domain::CellValue>::to_cell(&self.#ident)?)
        }
    });
    let idents: Vec<_> = columns.iter().map(|column| column.ident).collect();
    let read = columns.iter().map(|Column { field, ident, is_json, .. }| {
        let (kind, kernel) = (&field.ty, kernel::at(kernel, field.ty.span()));
        let value = if *is_json {
            quote_spanned!(kind.span()=> #kernel::domain::json_value(&#ident)?)
        } else {
            quote!(<#kind as #domain::CellValue>::from_cell(#ident)?)
        };
        quote!(#ident: #value)
    });
    Ok(quote! {
        #[automatically_derived]
        impl #domain::Row for #ident {
            const COLUMNS: &'static [#domain::RowColumn] = &[#(#told),*];
            #indexes

            fn to_cells(
                &self,
            ) -> ::core::result::Result<#kernel::__private::Vec<#kernel::values::Cell>, #domain::RowValueError> {
                ::core::result::Result::Ok(#kernel::__private::vec![#(#written),*])
            }

            fn from_cells(
                cells: #kernel::__private::Vec<#kernel::values::Cell>,
            ) -> ::core::result::Result<Self, #domain::RowValueError> {
                let [#(#idents),*] = #domain::row_cells(cells)?;
                ::core::result::Result::Ok(Self { #(#read),* })
            }
        }
    })
}

/// The columns, and the indexes that stand on them.
fn columns(fields: &FieldsNamed) -> Result<(Vec<Column<'_>>, Vec<Index>)> {
    let (mut columns, mut indexes) = (Vec::new(), Vec::new());
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let own = || Named { text: unraw(ident), span: ident.span() };
        let (mut rename, mut is_json, mut index) = (None, None, None::<(Named, bool)>);
        read(&field.attrs, "row", &["index", "unique", "json", "rename"], |key, meta| {
            match key {
                "rename" => rename = Some(Named::written(&meta.value()?.parse()?)?),
                "json" => is_json = Some(meta.path.span()),
                _ if index.is_some() => {
                    return Err(meta.error("`unique` is an index already; leave `index` out"));
                }
                _ => index = Some((index_name(meta)?.unwrap_or_else(own), key == "unique")),
            }
            Ok(())
        })?;
        if let (Some(span), Some(_)) = (is_json, &index) {
            return Err(Error::new(span, "rows are not found by a column of JSON; leave its index out"));
        }
        let name = rename.unwrap_or_else(own);
        if let Some((index, is_unique)) = index {
            indexes.push(Index { name: index, columns: vec![name.text.clone()], is_unique });
        }
        columns.push(Column { field, ident, name, is_json: is_json.is_some() });
    }
    Ok((columns, indexes))
}

/// What `index = "…"` says; nothing for `index` alone.
fn index_name(meta: &ParseNestedMeta<'_>) -> Result<Option<Named>> {
    if meta.input.peek(syn::token::Paren) {
        let message = "an index over several columns stands on the struct; on a field it is `#[row(index)]`, or \
                       `#[row(index = \"by_owner\")]` for one of another name";
        return Err(meta.error(message));
    }
    if meta.input.peek(Token![=]) { Ok(Some(Named::written(&meta.value()?.parse()?)?)) } else { Ok(None) }
}

/// Those on the struct: `#[row(index(name = "by_owner", columns(owner, opened_at), unique))]`, as many as there are.
fn indexes_over_several(input: &DeriveInput, columns: &[Column<'_>]) -> Result<Vec<Index>> {
    let mut indexes = Vec::new();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("row")) {
        attribute.parse_nested_meta(|meta| {
            known_key(&meta, "row", &["index"])?;
            indexes.push(index(&meta, columns)?);
            Ok(())
        })?;
    }
    Ok(indexes)
}

fn index(meta: &ParseNestedMeta<'_>, known: &[Column<'_>]) -> Result<Index> {
    let (mut name, mut columns, mut is_unique, mut seen) = (None, Vec::new(), false, Vec::new());
    if meta.input.peek(syn::token::Paren) {
        meta.parse_nested_meta(|meta| {
            let key = known_key(&meta, "row(index)", &["name", "columns", "unique"])?;
            once(&meta, &key, &mut seen)?;
            match &*key {
                "name" => name = Some(Named::written(&meta.value()?.parse()?)?),
                "unique" => is_unique = true,
                _ => meta.parse_nested_meta(|meta| {
                    columns.push(column_of(&meta, known)?);
                    Ok(())
                })?,
            }
            Ok(())
        })?;
    }
    match name {
        Some(name) if !columns.is_empty() => Ok(Index { name, columns, is_unique }),
        _ => {
            Err(meta.error("an index on the struct is `#[row(index(name = \"by_owner\", columns(owner, opened_at)))]`"))
        }
    }
}

/// The column of a field that is named there.
fn column_of(meta: &ParseNestedMeta<'_>, known: &[Column<'_>]) -> Result<String> {
    let path = &meta.path;
    let wanted = path.get_ident().map(unraw).unwrap_or_else(|| quote!(#path).to_string());
    match known.iter().find(|column| unraw(column.ident) == wanted) {
        Some(column) if column.is_json => Err(meta.error("rows are not found by a column of JSON")),
        Some(column) => Ok(column.name.text.clone()),
        None => {
            let names: Vec<_> = known.iter().map(|column| unraw(column.ident)).collect();
            let hint = hint(&wanted, names.iter().map(String::as_str), "the fields are");
            Err(meta.error(format!("the row has no field `{wanted}`{hint}")))
        }
    }
}

fn indexes_const(indexes: &[Index], kernel: &Path) -> Option<TokenStream> {
    let each = indexes.iter().map(|Index { name, columns, is_unique }| {
        let (name, unique) = (&name.text, is_unique.then(|| quote!(.unique())));
        quote!(#kernel::domain::RowIndex::new(#name, &[#(#columns),*]) #unique)
    });
    (!indexes.is_empty()).then(|| quote!(const INDEXES: &'static [#kernel::domain::RowIndex] = &[#(#each),*];))
}

/// Two of one name; the error stands at the second.
fn refuse_twins<'a>(names: impl Iterator<Item = &'a Named>, what: &str, mend: &str) -> Result<()> {
    let mut seen: Vec<&str> = Vec::new();
    for Named { text, span } in names {
        if seen.contains(&&**text) {
            return Err(Error::new(*span, format!("two {what} are named `{text}`; give one another name: {mend}")));
        }
        seen.push(text);
    }
    Ok(())
}
