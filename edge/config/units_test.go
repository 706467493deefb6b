package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/pace"
)

// twoInverters makes the settings those of two inverters behind one dongle.
func twoInverters(c *Config) { c.Units, c.DeviceID = "1,2", "roof,garage" }

func TestListsOfInvertersThatDoNotFitAreRefused(t *testing.T) {
	long := strings.Repeat("x", 65)
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("first-0123456789\nsecond-0123456789\nthird-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"no names":             {func(c *Config) { c.DeviceID = "" }, "DEVICE_ID has 0 values and SUNGROW_SLAVE_ID has 2"},
		"one name":             {func(c *Config) { c.DeviceID = "roof" }, "DEVICE_ID has 1 values"},
		"three names":          {func(c *Config) { c.DeviceID = "roof,garage,barn" }, "DEVICE_ID has 3 values"},
		"two names of one":     {func(c *Config) { c.Units = "1" }, "DEVICE_ID has 2 values and SUNGROW_SLAVE_ID has 1"},
		"one name twice":       {func(c *Config) { c.DeviceID = "roof, roof" }, "DEVICE_ID has roof twice"},
		"an empty name":        {func(c *Config) { c.DeviceID = "roof," }, `DEVICE_ID has ""`},
		"a wrong name":         {func(c *Config) { c.DeviceID = "roof,the garage" }, `DEVICE_ID has "the garage"`},
		"a long name":          {func(c *Config) { c.DeviceID = "roof," + long }, "DEVICE_ID has"},
		"one unit twice":       {func(c *Config) { c.Units = "2, 2" }, "SUNGROW_SLAVE_ID is 2, 2: two inverters cannot both be unit 2"},
		"unit 0":               {func(c *Config) { c.Units = "0,1" }, "SUNGROW_SLAVE_ID is 0,1: must be 1 to 247"},
		"unit 248":             {func(c *Config) { c.Units = "1,248" }, "SUNGROW_SLAVE_ID is 1,248"},
		"a unit that is none":  {func(c *Config) { c.Units = "1,two" }, "SUNGROW_SLAVE_ID is 1,two"},
		"hexadecimal":          {func(c *Config) { c.Units = "1,0x2" }, "SUNGROW_SLAVE_ID is 1,0x2"},
		"a comma at the end":   {func(c *Config) { c.Units = "1,2," }, "SUNGROW_SLAVE_ID is 1,2,"},
		"another separator":    {func(c *Config) { c.Units = "1;2" }, "SUNGROW_SLAVE_ID is 1;2"},
		"quotes":               {func(c *Config) { c.Units = `"1,2"` }, "write SUNGROW_SLAVE_ID=1,2"},
		"one serial number":    {func(c *Config) { c.Serial = "A22B1234567" }, "SUNGROW_SERIAL has 1 values"},
		"one serial twice":     {func(c *Config) { c.Serial = "A22B1234567,A22B1234567" }, "SUNGROW_SERIAL has A22B1234567 twice"},
		"a wrong serial":       {func(c *Config) { c.Serial = ",not a number" }, `SUNGROW_SERIAL is "not a number"`},
		"three tokens":         {func(c *Config) { c.Token = "first-0123456789,second-0123456789,third-0123456789" }, "VPS_DEVICE_TOKEN: there are 3 tokens for the 2 inverters"},
		"three tokens, a file": {func(c *Config) { c.Token, c.TokenFile = "", tokens }, "VPS_DEVICE_TOKEN_FILE: there are 3 tokens"},
		"a short token":        {func(c *Config) { c.Token = "first-0123456789,second" }, "VPS_DEVICE_TOKEN: the token has 6 characters"},
		"a spool of that name": {func(c *Config) { c.SpoolPath = filepath.Join(filepath.Dir(c.SpoolPath), "garage.db") }, "SPOOL_PATH of garage"},
		"a file of that name":  {func(c *Config) { c.RegisterMap = filepath.Join(filepath.Dir(c.SpoolPath), "garage.health.json") }, "HEALTH_PATH of garage"},
	} {
		got := refusalOf(t, func(settings *Config) { twoInverters(settings); c.change(settings) })
		if !strings.Contains(got, c.says) || strings.Contains(got, "0123456789") && !strings.Contains(name, "serial") {
			t.Errorf("%s: %q, want %q", name, got, c.says)
		}
	}
}

func TestEachInverterHasItsOwnNameFilesAndToken(t *testing.T) {
	c := goodConfig(t)
	twoInverters(&c)
	c.Units, c.DeviceID, c.Serial, c.Token = "3, 17", "roof, garage", ",A22B1234567", "first-0123456789, second-0123456789"
	c.HealthPath, c.Socket = "/run/x/health.json", "/run/x/edge.sock"
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	each, wrong := c.PerInverter()
	if len(each) != 2 || wrong != nil {
		t.Fatal(each, wrong)
	}
	dir := filepath.Dir(c.SpoolPath)
	for i, want := range []Config{
		{Unit: 3, DeviceID: "roof", SpoolPath: c.SpoolPath, HealthPath: "/run/x/health.json", Socket: "/run/x/edge.sock", Token: "first-0123456789"},
		{Unit: 17, DeviceID: "garage", SpoolPath: filepath.Join(dir, "garage.db"), HealthPath: "/run/x/garage.health.json", Socket: "/run/x/garage.edge.sock",
			Token: "second-0123456789", Serial: "A22B1234567"},
	} {
		got := each[i]
		token, err := got.TokenSource()
		if err != nil {
			t.Fatal(err)
		}
		if got.Unit != want.Unit || got.DeviceID != want.DeviceID || got.SpoolPath != want.SpoolPath || got.HealthPath != want.HealthPath ||
			got.Socket != want.Socket || got.Serial != want.Serial || token.Value != string(want.Token) {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
}

func TestDongleIsPolledNoFasterForSeveralInverters(t *testing.T) {
	for _, c := range []struct {
		pollS          float64
		inverters      int
		beat, interval time.Duration
	}{
		{5, 1, 5 * time.Second, 5 * time.Second}, {5, 2, 5 * time.Second, 10 * time.Second}, {30, 2, 15 * time.Second, 30 * time.Second},
		{12, 2, 6 * time.Second, 12 * time.Second}, {5, 5, 5 * time.Second, 25 * time.Second}, {3600, 1, time.Hour, time.Hour},
	} {
		one := Config{PollS: c.pollS, Place: inverter.Place{Of: c.inverters}}
		round := inverter.NewTurns(&inverter.Dongle{Pace: &pace.Pace{Interval: one.DongleInterval()}}, c.inverters)
		if one.DongleInterval() != c.beat || round[0].Interval() != c.interval {
			t.Errorf("%+v: %v, %v", c, one.DongleInterval(), round[0].Interval())
		}
	}
}

// A serial number in its place among those of several inverters, as the owner of a replaced one is told to set it.
func TestShortSerialOfOneOfSeveralIsAccepted(t *testing.T) {
	if got := refusalOf(t, func(c *Config) { twoInverters(c); c.Serial = ",A22…567" }); got != "" {
		t.Error(got)
	}
}
