//! The seam between generated structs and the readers and writers: a structure shows its members as [`View`]s and
//! lends them as [`Slot`]s, behind `dyn`. Nothing else is generated per structure.

use crate::facts::{OperationFacts, StructureFacts};
use crate::{Blob, Time};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// A generated struct.
pub trait Structure: Any + Send + Sync + Debug {
    /// Its static table.
    fn facts(&self) -> &'static StructureFacts;
    /// The member at `index` of the table; `View::Absent` beyond its end.
    fn view(&self, index: usize) -> View<'_>;
    /// A place for the member at `index`, which then is present; `None` beyond the table's end.
    fn slot(&mut self, index: usize) -> Option<Slot<'_>>;
}

impl dyn Structure {
    /// For downcasting.
    pub fn as_any(&self) -> &dyn Any {
        self
    }

    /// For downcasting.
    pub fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    /// For downcasting.
    pub fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    /// The concrete structure, if it is a `T`.
    pub fn downcast<T: Structure>(self: Box<Self>) -> Result<Box<T>, Box<dyn Any>> {
        self.into_any().downcast::<T>()
    }
}

/// An operation, as a type: its input, its output, its facts.
pub trait Operation {
    /// What it takes.
    type Input: Structure + Default;
    /// What it answers.
    type Output: Structure + Default;
    /// Its row in the service's table.
    fn facts() -> &'static OperationFacts;
}

/// Makes an empty structure; generated tables hold it as a function pointer.
pub fn boxed<T: Structure + Default>() -> Box<dyn Structure> {
    Box::<T>::default()
}

/// A value to read.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// The member is not there.
    Absent,
    /// A boolean.
    Boolean(bool),
    /// An `i32` or `i64`.
    Integer(i64),
    /// A floating-point number.
    Double(f64),
    /// A string or an enum.
    String(&'a str),
    /// An instant.
    Time(Time),
    /// Bytes.
    Blob(&'a [u8]),
    /// A structure.
    Structure(&'a dyn Structure),
    /// A list.
    List(&'a dyn List),
    /// A map.
    Map(&'a dyn Map),
}

/// A place to write.
pub enum Slot<'a> {
    /// A boolean.
    Boolean(&'a mut bool),
    /// A 32-bit integer.
    Integer(&'a mut i32),
    /// A 64-bit integer.
    Long(&'a mut i64),
    /// A floating-point number.
    Double(&'a mut f64),
    /// A string.
    String(&'a mut String),
    /// An enum.
    Enum(&'a mut dyn Enum),
    /// An instant.
    Time(&'a mut Time),
    /// Bytes.
    Blob(&'a mut Blob),
    /// A structure.
    Structure(&'a mut dyn Structure),
    /// A list.
    List(&'a mut dyn List),
    /// A map.
    Map(&'a mut dyn Map),
}

/// Anything that a member can be.
pub trait Value {
    /// To read.
    fn view(&self) -> View<'_>;
    /// To write; makes an absent value present.
    fn slot(&mut self) -> Slot<'_>;
}

/// A generated enum.
pub trait Enum {
    /// Takes the variant at `index` of its table; `false` if there is none.
    fn set(&mut self, index: usize) -> bool;
}

/// The value is not one of the enum's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is not a value of {name}")]
pub struct UnknownValue {
    /// The enum's name.
    pub name: &'static str,
    /// What was given.
    pub value: String,
}

/// A list of values of one type.
pub trait List: Debug {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The item at `index`; `View::Absent` beyond the end.
    fn get(&self, index: usize) -> View<'_>;
    /// Adds an item and lends it.
    fn push(&mut self) -> Slot<'_>;
}

/// A map from strings to values of one type.
pub trait Map: Debug {
    /// How many entries there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Shows each entry, in the order of the keys.
    fn each(&self, show: &mut dyn FnMut(&str, View<'_>));
    /// Lends the entry of that key, adding it if needed.
    fn entry(&mut self, key: String) -> Slot<'_>;
}

impl Value for bool {
    fn view(&self) -> View<'_> {
        View::Boolean(*self)
    }
    fn slot(&mut self) -> Slot<'_> {
        Slot::Boolean(self)
    }
}

impl Value for i32 {
    fn view(&self) -> View<'_> {
        View::Integer(i64::from(*self))
    }
    fn slot(&mut self) -> Slot<'_> {
        Slot::Integer(self)
    }
}

impl Value for i64 {
    fn view(&self) -> View<'_> {
        View::Integer(*self)
    }
    fn slot(&mut self) -> Slot<'_> {
        Slot::Long(self)
    }
}

impl Value for f64 {
    fn view(&self) -> View<'_> {
        View::Double(*self)
    }
    fn slot(&mut self) -> Slot<'_> {
        Slot::Double(self)
    }
}

impl Value for String {
    fn view(&self) -> View<'_> {
        View::String(self)
    }
    fn slot(&mut self) -> Slot<'_> {
        Slot::String(self)
    }
}

impl Value for Time {
    fn view(&self) -> View<'_> {
        View::Time(*self)
    }
    fn slot(&mut self) -> Slot<'_> {
        Slot::Time(self)
    }
}

impl Value for Blob {
    fn view(&self) -> View<'_> {
        View::Blob(&self.0)
    }
    fn slot(&mut self) -> Slot<'_> {
        Slot::Blob(self)
    }
}

impl<T: Value + Default> Value for Option<T> {
    fn view(&self) -> View<'_> {
        self.as_ref().map_or(View::Absent, T::view)
    }
    fn slot(&mut self) -> Slot<'_> {
        self.get_or_insert_with(T::default).slot()
    }
}

impl<T: Value> Value for Box<T> {
    fn view(&self) -> View<'_> {
        T::view(self)
    }
    fn slot(&mut self) -> Slot<'_> {
        T::slot(self)
    }
}

impl<T: Value + Default + Debug> Value for Vec<T> {
    fn view(&self) -> View<'_> {
        View::List(self)
    }
    fn slot(&mut self) -> Slot<'_> {
        Slot::List(self)
    }
}

impl<T: Value + Default + Debug> List for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }
    fn get(&self, index: usize) -> View<'_> {
        <[T]>::get(self, index).map_or(View::Absent, T::view)
    }
    fn push(&mut self) -> Slot<'_> {
        Vec::push(self, T::default());
        let last = Vec::len(self) - 1;
        self[last].slot()
    }
}

impl<T: Value + Default + Debug> Value for BTreeMap<String, T> {
    fn view(&self) -> View<'_> {
        View::Map(self)
    }
    fn slot(&mut self) -> Slot<'_> {
        Slot::Map(self)
    }
}

impl<T: Value + Default + Debug> Map for BTreeMap<String, T> {
    fn len(&self) -> usize {
        BTreeMap::len(self)
    }
    fn each(&self, show: &mut dyn FnMut(&str, View<'_>)) {
        for (key, value) in self {
            show(key, value.view());
        }
    }
    fn entry(&mut self, key: String) -> Slot<'_> {
        BTreeMap::entry(self, key).or_default().slot()
    }
}
