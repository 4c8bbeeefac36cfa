//! Nothing but the place of the system tests, which are in `system/`.
