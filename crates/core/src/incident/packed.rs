//! A value that is kept as bytes until it is first used. Independent of the value's type.
//!
//! A start reads back ten thousand incidents, and most are not looked at for hours: their details need not be parsed
//! until then, nor take the memory for that.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use serde::de::{DeserializeOwned, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value, or the bytes it is read from when it is needed.
#[derive(Clone)]
pub struct Packed<T> {
    value: OnceLock<Box<T>>,
    /// `None` once the value was handed out to be changed.
    bytes: Option<Box<[u8]>>,
}

impl<T> From<T> for Packed<T> {
    fn from(value: T) -> Self {
        Self { value: OnceLock::from(Box::new(value)), bytes: None }
    }
}

impl<T: DeserializeOwned + Default> Packed<T> {
    /// Changes the value.
    pub(crate) fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut value = self.value.take().unwrap_or_else(|| Box::new(read(self.bytes.as_deref())));
        let result = change(&mut value);
        *self = Self { value: OnceLock::from(value), bytes: None };
        result
    }
}

impl<T: DeserializeOwned + Default> Deref for Packed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.get_or_init(|| Box::new(read(self.bytes.as_deref())))
    }
}

/// Invalid bytes become the default. They cannot occur: only this program writes them, and a damaged row was refused.
fn read<T: DeserializeOwned + Default>(bytes: Option<&[u8]>) -> T {
    bytes.and_then(|bytes| rmp_serde::from_slice(bytes).ok()).unwrap_or_default()
}

impl<T: fmt::Debug> fmt::Debug for Packed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.value.get(), &self.bytes) {
            (Some(value), _) => value.fmt(f),
            (None, Some(bytes)) => write!(f, "{} bytes", bytes.len()),
            (None, None) => f.write_str("nothing"),
        }
    }
}

impl<T: Serialize> Serialize for Packed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.bytes, self.value.get()) {
            (Some(bytes), _) => serializer.serialize_bytes(bytes),
            (None, Some(value)) => serializer.serialize_bytes(&rmp_serde::to_vec(value).map_err(S::Error::custom)?),
            (None, None) => serializer.serialize_bytes(&[]),
        }
    }
}

impl<'de, T> Deserialize<'de> for Packed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Box<[u8]>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Box<[u8]>, E> {
                Ok(bytes.into())
            }
        }
        let bytes = deserializer.deserialize_bytes(Bytes)?;
        Ok(Self { value: OnceLock::new(), bytes: Some(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through_bytes(packed: &Packed<Vec<u32>>) -> Packed<Vec<u32>> {
        rmp_serde::from_slice(&rmp_serde::to_vec(packed).unwrap()).unwrap()
    }

    #[test]
    fn what_is_packed_is_the_same_when_it_is_looked_at_changed_or_passed_on_unread() {
        let made = Packed::from(vec![1, 2]);
        let unread = through_bytes(&made);
        assert_eq!(*through_bytes(&unread), [1, 2]);
        assert_eq!(*unread, [1, 2]);
        let mut changed = through_bytes(&unread);
        changed.change(|list| list.push(3));
        assert_eq!(*changed, [1, 2, 3]);
        assert_eq!(*through_bytes(&changed), [1, 2, 3]);
    }
}
