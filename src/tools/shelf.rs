//! One list of a registry: things in the order they came, found by name. The names are ours, so a fixed hash serves: no
//! caller can fill the table.
//! Next: `registry`, which has four.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::listing::Listing;
use super::registry::{Entry, Kind, RegistryError};

pub(super) struct Shelf<T> {
    items: Vec<Arc<Item<T>>>,
    by_name: HashMap<Arc<str>, usize, FixedState>,
    next_ordinal: u64,
    revision: u64,
}

struct Item<T> {
    name: Arc<str>,
    ordinal: u64,
    thing: T,
    listing: Listing,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { items: Vec::new(), by_name: HashMap::default(), next_ordinal: 0, revision: 0 }
    }
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self {
            items: self.items.clone(),
            by_name: self.by_name.clone(),
            next_ordinal: self.next_ordinal,
            revision: self.revision,
        }
    }
}

impl<T> Shelf<T> {
    pub(super) fn insert(
        &mut self,
        kind: Kind,
        name: Arc<str>,
        thing: T,
        listing: Listing,
    ) -> Result<(), RegistryError> {
        if self.by_name.contains_key(&name) {
            return Err(RegistryError::Duplicate { kind, name: name.as_ref().to_owned() });
        }
        self.by_name.insert(name.clone(), self.items.len());
        let ordinal = self.next_ordinal;
        self.items.push(Arc::new(Item { name, ordinal, thing, listing }));
        self.next_ordinal += 1;
        self.revision += 1;
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> bool {
        let Some(index) = self.by_name.remove(name) else { return false };
        self.items.remove(index);
        for (at, item) in self.items.iter().enumerate().skip(index) {
            self.by_name.insert(item.name.clone(), at);
        }
        self.revision += 1;
        true
    }

    pub(super) fn find(&self, name: &str) -> Option<(usize, &T)> {
        let index = *self.by_name.get(name)?;
        self.at(index).map(|thing| (index, thing))
    }

    pub(super) fn at(&self, index: usize) -> Option<&T> {
        self.items.get(index).map(|item| &item.thing)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn things(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|item| &item.thing)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.items.iter().enumerate().map(|(index, item)| Entry {
            index,
            ordinal: item.ordinal,
            name: &item.name,
            listing: &item.listing,
        })
    }
}
