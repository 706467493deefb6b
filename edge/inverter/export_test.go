package inverter

// What the tests of behaviour, which are a package of their own, see of the insides.
const (
	FirstWait = firstWait
	Sightings = sightings
	MBAPSize  = mbapSize
)

var (
	DeviceType      = deviceType
	SerialNumber    = serialNumber
	ReadFrame       = readFrame
	SameTransaction = sameTransaction
)
