//! Sagas driven.
