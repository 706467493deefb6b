package tariff

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"sunspool/health"
)

const good = `{
  "currency": "EUR", "capacity": "be",
  // Flanders
  "prices": [
	{"from": "2025-01-01", "import": 0.32, "export": 0.05, "co2_g_per_kwh": 150, "capacity_per_kw_year": 41.2},
	{
	  "from": "2026-03-29", "import": 0.28, "export": -0.01, "fee_per_year": 73, "fee_per_month": 3.1,
	  "windows": [
	    {"days": "mon-fri", "hours": "07:00-22:00", "import": 0.34},
	    {"days": "sat,sun", "hours": "22:30-06:15", "export": 0.02}
	  ]
	}
  ],
  "devices": {"garage": [{"from": "2026-01-01", "import": 0.4}]}
}`

func zoneNamed(t *testing.T, name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestPricesHoldFromALocalMidnight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tariff.json")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	prices, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	zone := zoneNamed(t, "Europe/Brussels")
	for at, want := range map[string]float64{"2024-12-31T23:00:00Z": 0.32, "2026-03-28T22:59:59Z": 0.32, "2026-03-28T23:00:00Z": 0.28, "2030-01-01T00:00:00Z": 0.28} {
		when, _ := time.Parse(time.RFC3339, at)
		if p := prices.Of("roof").On(when.In(zone)); p == nil || p.Import != want {
			t.Errorf("%s: %+v, want %v", at, p, want)
		}
	}
	if p := prices.Of("roof").On(time.Date(2024, 12, 31, 23, 59, 59, 0, zone)); p != nil {
		t.Errorf("before the first: %+v", p)
	}
	if p := prices.Of("garage").On(time.Date(2026, 6, 1, 0, 0, 0, 0, zone)); p == nil || p.Import != 0.4 || p.Export != 0 {
		t.Errorf("of one device: %+v", p)
	}
}

// Windows are by what the local clock shows, and those over midnight begin on their days.
func TestWindowsAreHoursOfTheLocalClock(t *testing.T) {
	all, err := parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	zone := zoneNamed(t, "Europe/Brussels")
	for _, c := range []struct {
		at               string
		imports, exports float64
	}{
		{"2026-06-19T06:59:59", 0.28, -0.01}, // a Friday
		{"2026-06-19T07:00:00", 0.34, -0.01},
		{"2026-06-19T21:59:59", 0.34, -0.01},
		{"2026-06-19T22:45:00", 0.28, -0.01},
		{"2026-06-20T06:00:00", 0.28, -0.01}, // the window of Saturday begins in its evening
		{"2026-06-20T22:30:00", 0.28, 0.02},
		{"2026-06-21T06:14:59", 0.28, 0.02},
		{"2026-06-21T06:15:00", 0.28, -0.01},
		{"2026-06-22T06:00:00", 0.28, 0.02}, // Monday, of Sunday
		{"2026-06-22T08:00:00", 0.34, -0.01},
	} {
		at, _ := time.ParseInLocation("2006-01-02T15:04:05", c.at, zone)
		if i, e := all.Prices.On(at).At(at); i != c.imports || e != c.exports {
			t.Errorf("%s: %v and %v, want %v and %v", c.at, i, e, c.imports, c.exports)
		}
	}
	two := Prices{Import: 1, Windows: []Window{{Days: 127, To: 1440, Export: new(7.0)}, {Days: 127, To: 1440, Import: new(2.0), Export: new(8.0)}}}
	if i, e := two.At(time.Now()); i != 2 || e != 7 {
		t.Errorf("of two windows %v and %v hold, want 2 and 7", i, e)
	}
}

// Between two borders nothing changes, and at each something does: compared minute by minute with the clock, over both changes
// of clocks and changes of prices, in zones of whole and of other hours.
func TestBordersAreWherePricesChange(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, name := range []string{"Europe/Brussels", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"} {
		zone := zoneNamed(t, name)
		for range 4 {
			year := 2024 + r.IntN(3)
			var s Schedule
			for from := time.Date(year, time.Month(1+r.IntN(10)), 1+r.IntN(28), 0, 0, 0, 0, zone); len(s) < 3; from = from.AddDate(0, 0, 1+r.IntN(200)) {
				p := Prices{From: from.Format(time.DateOnly), Import: float64(r.IntN(3))}
				for range r.IntN(4) {
					p.Windows = append(p.Windows, Window{Days(r.IntN(128)), 15 * r.IntN(96), 15 * r.IntN(97), new(float64(r.IntN(4))), nil})
				}
				s = append(s, p)
			}
			from := time.Date(year, time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), 5*r.IntN(12), 0, 0, zone)
			to := from.AddDate(0, 0, 40+r.IntN(200))
			var want []time.Time
			naive := func(at time.Time) string {
				p := s.On(at)
				if p == nil {
					return "none"
				}
				price, minute := p.Import, at.Hour()*60+at.Minute()
				for _, w := range slices.Backward(p.Windows) {
					begin, end := w.From, w.To
					today, before := w.Days&(1<<at.Weekday()) != 0, w.Days&(1<<((at.Weekday()+6)%7)) != 0
					if begin < end && today && minute >= begin && minute < end || begin >= end && (today && minute >= begin || before && minute < end) {
						price = *w.Import
					}
				}
				return fmt.Sprint(p.From, price)
			}
			was := naive(from)
			for at := from.Truncate(time.Minute).Add(time.Minute); at.Before(to); at = at.Add(time.Minute) {
				if now := naive(at); now != was {
					want, was = append(want, at), now
				}
			}
			if got := s.Borders(from, to); !slices.EqualFunc(got, want, time.Time.Equal) {
				t.Fatalf("%s, %v to %v: %d borders, want %d:\n%v\n%v\n%+v", name, from, to, len(got), len(want), got, want, s)
			}
		}
	}
}

// What a fee adds up to in its year, and in its month.
func TestFeesAreSpreadOverTheDays(t *testing.T) {
	p := Prices{FeePerYear: 73.2, FeePerMonth: 6}
	for year, want := range map[int]float64{2023: 73.2 + 72, 2024: 73.2 + 72} {
		sum, february := 0.0, 0.0
		for day := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == year; day = day.AddDate(0, 0, 1) {
			sum += p.Fees(day)
			if day.Month() == 2 {
				february += p.Fees(day) - 73.2/float64(time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC).YearDay())
			}
		}
		if math.Abs(sum-want) > 1e-9 || math.Abs(february-6) > 1e-9 {
			t.Errorf("%d: %v, want %v; February %v", year, sum, want, february)
		}
	}
}

// The complete example of the documentation can be read.
func TestTheDocumentedFileIsOne(t *testing.T) {
	page, err := os.ReadFile("../../docs/tariff.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```jsonc\n")
	text, _, _ = strings.Cut(text, "```")
	prices, err := parse([]byte(text))
	if err != nil || len(prices.Prices) != 2 || len(prices.Prices[1].Windows) != 2 || len(prices.Devices) != 1 {
		t.Errorf("%v: %+v", err, prices)
	}
}

// All that is wrong is named, each with its line, in one line of text.
func TestAWrongFileIsNamedOnce(t *testing.T) {
	change := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("the file has no %s", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	for text, want := range map[string][]string{
		``:                             {"line 1: unexpected end"},
		`[]`:                           {"line 1: the file is no object"},
		`null`:                         {"line 1: the file is no object"},
		"{\n\"x\"":                     {"line 2: unexpected end"},
		"{\n\"x\": nope}":              {"line 2: invalid character"},
		`{}`:                           {`line 1: currency ""`, "there are no prices"},
		good + "\n{}":                  {"line 16: ", "after top-level value"},
		change("import", "imprt"):      {`line 5: an entry of prices has no member "imprt", but capacity_per_kw_year, co2_g_per_kwh, export,`, "line 5: import is missing"},
		change("0.32", `"0.32"`):       {"line 5: import is not a number"},
		change(`"import": 0.32, `, ""): {"line 5: import is missing"},
		change(`"export": 0.05`, `"import": 0.05`):                         {`line 5: "import" is there twice`},
		change(`"EUR"`, "7"):                                               {"line 2: currency is not a text in quotes"},
		change("EUR", "€"):                                                 {`line 2: currency "€"`},
		change(`"be"`, `"de"`):                                             {`line 2: capacity "de"`},
		change("2025-01-01", "2027-01-01"):                                 {`line 7: from "2026-03-29" is not later`},
		change("2026-03-29", "29.3.2026"):                                  {`line 7: from "29.3.2026" is not a date`},
		change("mon-fri", "Mo-Fr"):                                         {`line 9: days "Mo-Fr"`},
		change("07:00-22:00", "07:10-22:00"):                               {`line 9: hours "07:10-22:00"`},
		change("07:00-22:00", "7-22"):                                      {`line 9: hours "7-22"`},
		change("07:00-22:00", "24:00-07:00"):                               {`line 9: hours`},
		change("07:00-22:00", "07:00-07:00"):                               {`line 9: hours`},
		change(`, "import": 0.34}`, `}`):                                   {"line 9: a window has neither import nor export"},
		change(`[{"from": "2026-01-01", "import": 0.4}]`, `{"import": 1}`): {"line 14: garage is no list"},
		change(`{"garage": [{"from": "2026-01-01", "import": 0.4}]}`, `7`): {"line 14: devices is no object"},
		strings.Replace(change("EUR", ""), "0.32", "1e9", 1):               {"line 2: currency", "line 5: import is more than a million"},
	} {
		_, err := parse([]byte(text))
		for _, says := range want {
			if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s:\n%v, want %q", text, err, says)
			}
		}
	}
	_, err := Read(filepath.Join(t.TempDir(), "none.json"))
	if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "tariff_invalid" || f.Next == "" {
		t.Errorf("a file that is not there: %#v", err)
	}
}

// Whatever stands in a file, it is read or refused.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("\ufeff" + good))
	f.Add([]byte(`{"prices":[{"windows":[[],{},7,{"days":"-","hours":"-"}]},[],"",null],"devices":{"":{}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		prices, err := parse(text)
		if (prices == nil) == (err == nil) {
			t.Fatalf("%v and %v", prices, err)
		}
		if err == nil {
			from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			prices.Of("roof").Borders(from, from.AddDate(0, 2, 0))
		}
	})
}

// A file is read again when it changes or when that is asked for, and a wrong one leaves what was before.
func TestFileIsFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tariff.json")
	write := func(text string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if at := time.Now().Add(-age); os.Chtimes(path, at, at) != nil {
			t.Fatal("no times")
		}
	}
	write(good, 4*time.Hour)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what string, always, read, ok bool, price float64) {
		t.Helper()
		got, err := f.Refresh(always)
		if got != read || (err == nil) != ok || f.Now().Prices[0].Import != price {
			t.Errorf("%s: read %v, %v, %v", what, got, err, f.Now().Prices[0].Import)
		}
	}
	expect("unchanged", false, false, true, 0.32)
	expect("asked", true, true, true, 0.32)
	write(strings.Replace(good, "0.32", "0.44", 1), 3*time.Hour)
	expect("changed", false, true, true, 0.44)
	write("{", 2*time.Hour)
	expect("wrong", false, true, false, 0.44)
	expect("still wrong", false, false, true, 0.44)
	expect("still wrong, asked", true, true, false, 0.44)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("gone", false, true, false, 0.44)
	write(good, time.Hour)
	expect("there again", false, true, true, 0.32)
	var none *File
	if none.Now() != nil || Fixed(nil).Now() != nil {
		t.Error("none is one")
	}
}
