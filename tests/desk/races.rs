//! Lets two do something with the same conversation at the same time: one wins.
