package inverter

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Identity is the inverter that belongs to a device id. Its samples are one series, which must not contain those of another
// inverter, with other counters.
type Identity struct {
	Serial string `json:"serial,omitempty"`
	Type   uint16 `json:"type,omitempty"` // device_type_code

	// Another inverter that answers in its place: its serial number, or its type; and since when.
	Other string    `json:"other,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// sightings is the number of polls in a row that another inverter must answer: fewer may be crossed answers of a dongle.
const sightings = 3

// sighting is another inverter that has answered.
type sighting struct {
	who   string // its serial number, or its type
	seen  int    // polls in a row
	since time.Time
}

const typePrefix = "type "

// otherInverter is the error of a poll that another inverter answered.
type otherInverter struct {
	who, want string // serial numbers, or types
	since     time.Time
	confirmed bool  // it has answered in enough polls to be no crossed answer
	place     Place // of the inverter in whose place it answered
}

func (e *otherInverter) Error() string {
	return fmt.Sprintf("%s answers instead of %s", shown(e.who), shown(e.want))
}

// want returns the serial number of the inverter to read, "" while it is not known.
func (in *Inverter) want() string {
	if in.Serial != "" {
		return in.Serial
	}
	return in.Known.Serial
}

// setKnown makes id the known inverter, here and for the next process.
func (in *Inverter) setKnown(id Identity) {
	if id.Serial == "" {
		id.Serial = in.Known.Serial
	}
	in.other = sighting{}
	if id == in.Known && !in.unsaved {
		return
	}
	if was := in.Known.Serial; was != "" && id.Serial != was {
		in.Log.Warn("inverter replaced, as confirmed by SUNGROW_SERIAL", "serial", MaskSerial(id.Serial), "was", MaskSerial(was))
	}
	in.store(id)
}

// store makes id Known and stores it. A failure is logged once; it is stored again with the next connection.
func (in *Inverter) store(id Identity) {
	in.Known = id
	if in.Changed == nil {
		return
	}
	err := in.Changed(id)
	if err != nil && !in.unsaved {
		in.Log.Warn("identity of the inverter not stored", "error", err.Error())
	}
	in.unsaved = err != nil
}

// countOther counts the polls in a row that another inverter has answered; after several of them the inverter is named. It
// returns err, completed with what is known of that inverter.
func (in *Inverter) countOther(err error) error {
	other, ok := errors.AsType[*otherInverter](err)
	if !ok {
		if err == nil && in.isIdentified() {
			in.other = sighting{}
			if in.Known.Other != "" {
				in.store(Identity{Serial: in.Known.Serial, Type: in.Known.Type})
			}
			in.others = growingWait{}
		}
		return err
	}
	in.identified = 0 // the next poll checks again
	if other.who != in.other.who {
		in.other = sighting{who: other.who, since: now().UTC().Truncate(time.Millisecond)}
		if in.Known.Other == other.who { // it was named before a restart
			in.other.seen, in.other.since = sightings, in.Known.Since
		}
	}
	in.other.seen++
	other.since, other.confirmed = in.other.since, in.other.seen >= sightings
	if other.confirmed && in.Known.Other != other.who {
		id := in.Known
		id.Other, id.Since = other.who, in.other.since
		in.store(id)
	}
	return other
}

// sameNumber reports whether set is serial. An operator may have copied it from where numbers are shortened.
func sameNumber(set, serial string) bool {
	set = strings.ReplaceAll(strings.TrimSpace(set), "...", "…")
	return strings.EqualFold(set, serial) || strings.EqualFold(set, MaskSerial(serial))
}

// ValidSerial reports whether s is empty or can be a serial number, shortened or not.
func ValidSerial(s string) bool {
	s = strings.Replace(strings.ReplaceAll(s, "...", "…"), "…", "", 1)
	return len(s) <= 20 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	})
}

// shown returns how an inverter is named in messages: its masked serial number, or its type.
func shown(who string) string {
	if strings.HasPrefix(who, typePrefix) {
		return who
	}
	return MaskSerial(who)
}

// MaskSerial returns as much of a serial number as may be logged.
func MaskSerial(serial string) string {
	if len(serial) < 7 {
		return serial
	}
	return serial[:3] + "…" + serial[len(serial)-3:]
}

// Resume sets the inverter that belongs to the device id after another one may have been read in its place. It reports whether
// the readings until now are those of this inverter.
func (in *Inverter) Resume(known Identity) bool {
	seen := in.Known
	in.Known = known
	switch {
	case seen == Identity{}:
		return true
	case in.Serial != "", known == Identity{}: // what the operator set was compared with each reading
	case seen.Serial != "" && known.Serial != "" && !sameNumber(known.Serial, seen.Serial),
		(seen.Serial == "" || known.Serial == "") && seen.Type != known.Type && seen.Type != 0 && known.Type != 0:
		*in = Inverter{Unit: in.Unit, Own: in.Own, Place: in.Place, Log: in.Log, Dongle: in.Dongle, Serial: in.Serial, Known: known, Changed: in.Changed}
		return false
	}
	in.unsaved = false
	in.setKnown(Identity{Serial: seen.Serial, Type: seen.Type})
	return true
}
