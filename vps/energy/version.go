package energy

// PackVersion changes with the arithmetic that makes rollups, see Rollup.Append. Rollups that an earlier version made are
// to be computed again where their samples are still there. With a new version the schemas of both stores are raised, so
// that an older program refuses what it cannot read.
const PackVersion = packVersion
