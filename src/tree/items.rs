//! Where lists and maps have their items: in an arena or in memory of their own. Knows nothing of JSON.

use std::mem;
use std::ops::Deref;

/// What a list or a map holds.
#[derive(Clone)]
pub(super) enum Items<'a, T> {
    /// In an [`Arena`], which frees them all at once; copies share them.
    Kept(&'a [T]),
    /// In memory of their own.
    Own(Vec<T>),
}

/// Items in an arena, to which more come.
pub(super) type Gathered<'a, T> = bumpalo::collections::Vec<'a, T>;

/// Takes what was gathered from `start` on. Nothing in an arena is dropped: what owns memory of its own would leak it.
pub(super) fn taken<'a, T>(gathered: &mut Gathered<'a, T>, start: usize) -> &'a [T] {
    if gathered.len() == start { &[] } else { gathered.split_off(start).into_bump_slice() }
}

/// What is added to a list or a map, as a rule.
const FEW: usize = 4;

/// Room that is had at once: a pod of 4 KB has a tree of 8 and what is gathered for it, and 64 are no burden to have at hand.
const LEAST: usize = 16 << 10;
const MOST: usize = 64 << 10;

/// What an arena has beside the room that was asked for, rounded up.
const PAGE: usize = 4 << 10;

/// The memory of trees that are read for one purpose, such as a review: freed at once, not list by list.
#[derive(Debug, Default)]
pub struct Arena(bumpalo::Bump);

impl Arena {
    /// Room for the tree of a text of so many bytes, as most are; more is found when it is needed.
    pub fn for_text(bytes: usize) -> Self {
        Arena(bumpalo::Bump::with_capacity((3 * bytes).clamp(LEAST, MOST - PAGE)))
    }

    /// The same memory for the next text; what grew large gives it back.
    pub fn cleared(mut self) -> Option<Self> {
        self.0.reset();
        (self.0.chunk_capacity() <= MOST).then_some(self)
    }

    /// Room to gather so many items in, and more.
    pub(super) fn gather<T>(&self, items: usize) -> Gathered<'_, T> {
        Gathered::with_capacity_in(items, &self.0)
    }

    /// A text of at most so many bytes, to be written; what it does not need is given back when it is made to fit.
    pub(super) fn text(&self, bytes: usize) -> bumpalo::collections::String<'_> {
        bumpalo::collections::String::with_capacity_in(bytes, &self.0)
    }
}

impl<T> Deref for Items<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Items::Kept(items) => items,
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
        Items::Own(items.into_iter().collect())
    }
}

impl<T: Clone> Items<'_, T> {
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.own()?.get_mut(index)
    }

    /// Puts `item` in front of the one at `index`.
    pub(super) fn insert(&mut self, index: usize, item: T) {
        if let Some(items) = self.own() {
            items.insert(index, item);
        }
    }

    /// The items, to be changed: from now on in memory of their own.
    fn own(&mut self) -> Option<&mut Vec<T>> {
        if let Items::Kept(_) = self {
            *self = Items::Own(mem::take(self).into_vec());
        }
        match self {
            Items::Own(items) => Some(items),
            Items::Kept(_) => None,
        }
    }

    /// Copied where they are in an arena, with room for a few more.
    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Items::Own(items) => items,
            Items::Kept(items) => {
                let mut own = Vec::with_capacity(items.len() + FEW);
                own.extend_from_slice(items);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_kept_unless_it_had_to_grow() {
        for bytes in [0, 4 << 10, MOST / 3, MOST, 8 * MOST] {
            let arena = Arena::for_text(bytes);
            assert!(arena.cleared().is_some(), "{bytes}");
        }
        let arena = Arena::for_text(MOST);
        arena.text(2 * MOST);
        assert!(arena.cleared().is_none());
    }
}
