//! A property: one row of an element's table, its default, its reader and its
//! writer in one place.

/// One property of an element whose settings are `S`.
pub(crate) struct Property<S> {
    pub(crate) spec: glib::ParamSpec,
    pub(crate) get: fn(&S) -> glib::Value,
    pub(crate) set: fn(&mut S, &glib::Value),
}

/// A row for a field of the settings `S`: `property!(S: field, specification)`, also
/// `part.field`; `common().field` is one that all elements have.
macro_rules! property {
    ($of:ty: common().$field:ident, $spec:expr) => {
        $crate::element::property!(@row $of, |it| it.common().$field, it.common_mut().$field, $spec)
    };
    ($of:ty: $($field:ident).+, $spec:expr) => {
        $crate::element::property!(@row $of, |it| it.$($field).+, it.$($field).+, $spec)
    };
    (@row $of:ty, |$it:ident| $read:expr, $write:expr, $spec:expr) => {
        $crate::element::Property {
            spec: $spec.mutable_ready().build(),
            get: |$it: &$of| $read.to_value(),
            // GObject has checked the type.
            set: |$it: &mut $of, value| {
                if let Ok(value) = value.get() {
                    $write = value;
                }
            },
        }
    };
}

pub(crate) use property;

impl<S> Property<S> {
    /// Its specification.
    pub(crate) fn spec(&self) -> &glib::ParamSpec {
        &self.spec
    }

    /// Reads it.
    pub(crate) fn get(&self, settings: &S) -> glib::Value {
        (self.get)(settings)
    }

    /// Writes it.
    pub(crate) fn set(&self, settings: &mut S, value: &glib::Value) {
        (self.set)(settings, value);
    }
}
