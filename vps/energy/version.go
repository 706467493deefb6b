package energy

// PackVersion changes with the arithmetic that makes rollups, see Rollup.Append. Rollups that an earlier version made are
// to be computed again where their samples are still there.
const PackVersion = packVersion
