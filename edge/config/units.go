package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/pace"
	"sunspool/edge/token"
	"sunspool/settings"
	"sunspool/wire"
)

// A dongle may lead to several inverters, each with a unit id of its own. It serves one client only, so one process reads
// them all over one connection. Each has an Edge of its own, with its own spool and its own device on the server; the first
// has the files of the settings, each further one has files named by its device id beside them:
//
//	SUNGROW_SLAVE_ID=1,2        spool.db      health.json           edge.sock
//	DEVICE_ID=roof,garage       garage.db     garage.health.json    garage.edge.sock

// PerInverter returns the settings of each inverter, as those of an edge that has no other. Errors in settings that are
// lists are in wrong; then each may be shorter.
func (c *Config) PerInverter() (each []Config, wrong []error) {
	ids, err := c.unitIDs()
	if err != nil {
		return []Config{*c}, []error{err}
	}
	names, serials := []string{c.DeviceID}, []string{c.Serial}
	if len(ids) > 1 || strings.Contains(c.DeviceID, ",") && c.DeviceID != defaultDeviceID(c.Host) {
		names, err = inOrder("DEVICE_ID", c.DeviceID, ids)
		if err != nil {
			wrong = append(wrong, err)
		}
		if serials = make([]string, len(ids)); c.Serial != "" {
			if serials, err = inOrder("SUNGROW_SERIAL", c.Serial, ids); err != nil {
				wrong = append(wrong, err)
			}
		}
	}
	if wrong != nil {
		return []Config{*c}, wrong
	}
	for i, id := range ids {
		one := *c
		one.Units, one.Unit, one.DeviceID, one.Serial, one.Place = "", id, names[i], serials[i], inverter.Place{Index: i, Of: len(ids)}
		if i > 0 {
			one.SpoolPath = filepath.Join(filepath.Dir(c.SpoolPath), names[i]+".db")
			one.HealthPath = filepath.Join(filepath.Dir(c.HealthPath), names[i]+".health.json")
			one.Socket = filepath.Join(filepath.Dir(c.Socket), names[i]+".edge.sock")
		}
		each = append(each, one)
	}
	return each, nil
}

// unitIDs returns the unit ids of SUNGROW_SLAVE_ID.
func (c *Config) unitIDs() (ids []int, err error) {
	const name = "SUNGROW_SLAVE_ID"
	text := c.Units
	if text == "" {
		text = strconv.Itoa(c.Unit)
	}
	if err := settings.CheckText(name, text, false); err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		id, err := strconv.Atoi(part)
		switch {
		case err != nil || strconv.Itoa(id) != part || id < 1 || id > 247:
			return nil, fmt.Errorf("%s is %s: must be 1 to 247, or several with commas, such as 1,2", name, text)
		case slices.Contains(ids, id):
			return nil, fmt.Errorf("%s is %s: two inverters cannot both be unit %d", name, text, id)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// inOrder splits a setting into its values, one for each unit id. No two are the same; only a serial number may be empty.
func inOrder(name, text string, ids []int) ([]string, error) {
	values := strings.Split(text, ",")
	if text == "" {
		values = nil
	}
	if len(values) != len(ids) {
		return nil, fmt.Errorf("%s has %d values and SUNGROW_SLAVE_ID has %d: write one for each inverter, in the same order, with commas", name, len(values), len(ids))
	}
	for i, v := range values {
		values[i] = strings.TrimSpace(v)
		if values[i] != "" && slices.Contains(values[:i], values[i]) {
			return nil, fmt.Errorf("%s has %s twice: two inverters cannot be the same", name, values[i])
		}
	}
	return values, nil
}

// checkInverters returns what is wrong with the settings that each inverter has of its own.
func checkInverters(each []Config) (wrong []error) {
	refuse := func(err error) { // an error of all of them is listed once
		if !slices.ContainsFunc(wrong, func(e error) bool { return e.Error() == err.Error() }) {
			wrong = append(wrong, err)
		}
	}
	for _, c := range each {
		if c.Place.Several() && !wire.ValidDeviceID(c.DeviceID) {
			refuse(fmt.Errorf("DEVICE_ID has %q: each must be %s", c.DeviceID, deviceIDForm))
		}
		if !inverter.ValidSerial(c.Serial) {
			refuse(fmt.Errorf("SUNGROW_SERIAL is %q: must be the serial number on the inverter's label, or as the health file shortens it", c.Serial))
		}
		if _, err := c.TokenSource(); err != nil {
			refuse(err)
		}
	}
	return wrong
}

// TokenSource returns the source of the inverter's token. A file may come later, but a credential is there from the start.
func (c *Config) TokenSource() (*token.Source, error) {
	t, err := token.New(string(c.Token), c.TokenFile, c.Place)
	if errors.Is(err, token.ErrNone) {
		err = required("VPS_DEVICE_TOKEN", "the token of this inverter, there, in the file VPS_DEVICE_TOKEN_FILE, or as the credential "+token.Credential)
	}
	if t != nil && !t.IsCredential() {
		err = c.UnlessAwaited(err)
	}
	return t, err
}

// DongleInterval returns the time between two polls of the dongle, whichever inverters they read.
func (c *Config) DongleInterval() time.Duration {
	return max(seconds(c.PollS)/time.Duration(max(c.Place.Of, 1)), min(seconds(c.PollS), pace.RestTime))
}

// OtherHealthFiles returns the health files of the other inverters that the same process reads.
func OtherHealthFiles(each []Config, self int) (names []string) {
	for i, c := range each {
		if i != self {
			names = append(names, filepath.Base(c.HealthPath))
		}
	}
	return names
}
