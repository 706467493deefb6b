package edge

import (
	"sunspool/edge/inverter"
	"sunspool/edge/reading"
	"sunspool/edge/spool"
)

// What is known of the unit of a device id is kept in its spool, see Spool.WriteNote.
func identityKey(device string) string { return "inverter/" + device }
func yieldKey(device string) string    { return "yield/" + device }

// keptIdentity returns the inverter that belongs to a device id, the zero Identity if none is known, or if what is known
// of it is damaged: then it is found again by the first reading.
func keptIdentity(s *spool.Spool, device string) (id inverter.Identity, err error) {
	err = s.ReadNote(identityKey(device), &id)
	return id, err
}

// keepIdentity makes id durable as the inverter that belongs to a device id.
func keepIdentity(s *spool.Spool, device string, id inverter.Identity) error {
	return s.WriteNote(identityKey(device), id)
}

// keptYieldDay returns the day of a device id, the zero one if none is known.
func keptYieldDay(s *spool.Spool, device string) (day reading.YieldDay, err error) {
	err = s.ReadNote(yieldKey(device), &day)
	return day, err
}

func keepYieldDay(s *spool.Spool, device string, day reading.YieldDay) error {
	return s.WriteNote(yieldKey(device), day)
}
