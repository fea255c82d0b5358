//! Small networks out of namespaces.
