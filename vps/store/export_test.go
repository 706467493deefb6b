package store

// MaxCached bounds the entries of a Cached.
const MaxCached = maxCached

// Entries returns how many answers are kept.
func (c *Cached) Entries() int { return len(c.entries) }
