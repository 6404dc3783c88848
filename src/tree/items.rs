//! Where lists and maps have their items: in an arena or in counted memory of their own. Knows nothing of JSON.

use std::mem;
use std::ops::Deref;
use std::sync::Arc;

/// What a list or a map holds.
#[derive(Clone)]
pub(super) enum Items<'a, T> {
    /// In an [`Arena`], which frees them all at once.
    Kept(&'a [T]),
    /// In memory of their own, until the last copy goes.
    Shared(Arc<[T]>),
    /// Being changed.
    Own(Vec<T>),
}

/// What is added to a list or a map, as a rule.
const FEW: usize = 4;

/// Room that is had at once: a pod of 4 KB has a tree of 8, and 64 are no burden to have at hand.
const LEAST: usize = 8 << 10;
const MOST: usize = 64 << 10;

/// The memory of trees that are read for one purpose, such as a review: freed at once, not list by list.
#[derive(Debug, Default)]
pub struct Arena(bumpalo::Bump);

impl Arena {
    /// Room for the tree of a text of so many bytes, as most are; more is found when it is needed.
    pub fn for_text(bytes: usize) -> Self {
        Arena(bumpalo::Bump::with_capacity((2 * bytes).clamp(LEAST, MOST)))
    }

    /// The same memory for the next text; what grew large gives it back.
    pub fn cleared(mut self) -> Option<Self> {
        self.0.reset();
        (self.0.chunk_capacity() <= MOST).then_some(self)
    }

    /// Nothing in here is dropped: what owns memory of its own would leak it.
    pub(super) fn keep<T>(&self, items: impl ExactSizeIterator<Item = T>) -> &[T] {
        if items.len() == 0 { &[] } else { self.0.alloc_slice_fill_iter(items) }
    }

    pub(super) fn keep_str(&self, text: &str) -> &str {
        self.0.alloc_str(text)
    }
}

impl<T> Deref for Items<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Items::Kept(items) => items,
            Items::Shared(items) => items,
            Items::Own(items) => items,
        }
    }
}

impl<T> Default for Items<'_, T> {
    fn default() -> Self {
        Items::Kept(&[])
    }
}

impl<T> FromIterator<T> for Items<'_, T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Items::Shared(items.into_iter().collect())
    }
}

impl<T: Clone + Default> Items<'_, T> {
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        *self = Items::Own(mem::take(self).into_vec());
        match self {
            Items::Own(items) => items.get_mut(index),
            Items::Kept(_) | Items::Shared(_) => None,
        }
    }

    /// Puts `item` in front of the one at `index`.
    pub(super) fn insert(&mut self, index: usize, item: T) {
        let mut items = mem::take(self).into_vec();
        items.insert(index, item);
        *self = Items::Own(items);
    }

    /// Moved when nobody else holds them, and copied otherwise; with room for a few more.
    pub(super) fn into_vec(self) -> Vec<T> {
        let room = |items: &[T]| Vec::with_capacity(items.len() + FEW);
        match self {
            Items::Own(items) => items,
            Items::Kept(items) => {
                let mut own = room(items);
                own.extend_from_slice(items);
                own
            }
            Items::Shared(mut items) => {
                let mut own = room(&items);
                match Arc::get_mut(&mut items) {
                    Some(only) => own.extend(only.iter_mut().map(mem::take)),
                    None => own.extend_from_slice(&items),
                }
                own
            }
        }
    }
}

impl<T> Items<'_, T> {
    /// Whether they are the very same, which is quicker told than whether they are equal.
    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(&raw const **self, &raw const **other)
    }
}
