//! The rig shared by the tests.
