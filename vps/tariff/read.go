package tariff

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"sunspool/health"
)

// Read reads a file. The error is a *health.Fault that names everything that is wrong with it, by line.
func Read(path string) (*Tariff, error) {
	text, err := os.ReadFile(path)
	var t *Tariff
	if err == nil {
		t, err = parse(text)
	}
	if err != nil {
		return nil, &health.Fault{Code: "tariff_invalid", Exit: health.ExitConfig, What: fmt.Sprintf("the tariff file %s cannot be used", path),
			Why: err.Error(), Next: "correct it by the example in docs/tariff.md; `sunspool check vps` reads it again"}
	}
	return t, nil
}

var currency = regexp.MustCompile(`^[A-Z]{3}$`)

// withoutComments empties the lines that begin with //.
func withoutComments(text []byte) []byte {
	lines := bytes.Split(text, []byte("\n"))
	for i, line := range lines {
		if bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("//")) {
			lines[i] = nil
		}
	}
	return bytes.Join(lines, []byte("\n"))
}

// reader reads JSON, and knows in which line everything is. Members are read as they come, so that all that is wrong is found
// at once.
type reader struct {
	text  []byte
	d     *json.Decoder
	wrong []string
}

func parse(text []byte) (*Tariff, error) {
	text = withoutComments(bytes.TrimPrefix(text, []byte("\ufeff")))
	r := reader{text: text, d: json.NewDecoder(bytes.NewReader(text))}
	t := &Tariff{Devices: map[string]Schedule{}}
	if err := json.Unmarshal(text, new(json.RawMessage)); err != nil {
		at := len(text)
		if s, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = int(s.Offset) - 1
		}
		return nil, fmt.Errorf("line %d: %w", r.line(at), err) // nothing below is
	}
	all := map[string]Schedule{}
	schedule := func(name string) { all[name] = r.schedule(name) }
	in := r.object("the file", members{"currency": &t.Currency, "capacity": &t.Capacity, "prices": schedule, "devices": func(string) {
		prices := all["prices"]
		all = t.Devices
		r.object("devices", members{"": schedule})
		all = map[string]Schedule{"prices": prices}
	}})
	t.Prices = all["prices"]
	end := len(bytes.TrimSpace(text)) - 1
	r.check(currency.MatchString(t.Currency), cmp.Or(in["currency"], end), "currency %q is not three letters such as EUR", t.Currency)
	r.check(t.Capacity == "" || t.Capacity == "be", in["capacity"], "capacity %q is not be", t.Capacity)
	r.check(t.Prices != nil || len(t.Devices) > 0, end, "there are no prices")
	if r.wrong != nil {
		return nil, errors.New(strings.Join(r.wrong, "; "))
	}
	return t, nil
}

// schedule reads a list of prices.
func (r *reader) schedule(name string) (s Schedule) {
	r.list(name, func(at int) {
		var p Prices
		var imports *float64
		in := r.object("an entry of "+name, members{"from": &p.From, "import": &imports, "export": &p.Export, "co2_g_per_kwh": &p.CO2,
			"capacity_per_kw_year": &p.Capacity, "fee_per_year": &p.FeePerYear, "fee_per_month": &p.FeePerMonth,
			"windows": func(string) { r.list("windows", func(at int) { p.Windows = append(p.Windows, r.window(at)) }) }})
		_, err := time.Parse(time.DateOnly, p.From)
		r.check(err == nil, cmp.Or(in["from"], at), "from %q is not a date such as 2026-01-01", p.From)
		r.check(s == nil || p.From > s[len(s)-1].From, cmp.Or(in["from"], at), "from %q is not later than the one before", p.From)
		r.check(imports != nil, at, "import is missing")
		if imports != nil {
			p.Import = *imports
		}
		s = append(s, p)
	})
	return s
}

func (r *reader) window(at int) (w Window) {
	var days, hours string
	in := r.object("an entry of windows", members{"days": &days, "hours": &hours, "import": &w.Import, "export": &w.Export})
	var ok bool
	w.Days, ok = parseDays(days)
	r.check(ok, in["days"], "days %q are not such as mon-fri or sat,sun", days)
	w.From, w.To, ok = parseHours(hours)
	r.check(ok, in["hours"], "hours %q are not whole quarter-hours such as 07:00-22:00", hours)
	r.check(w.Import != nil || w.Export != nil, at, "a window has neither import nor export")
	return w
}

// parseDays reads days of the week and spans of them: mon-fri, or sat,sun. Nothing is every day.
func parseDays(text string) (days Days, ok bool) {
	if text == "" {
		return 1<<7 - 1, true
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, span := strings.Cut(strings.TrimSpace(part), "-")
		if !span {
			to = from
		}
		first, last := weekday(from), weekday(to)
		if first < 0 || last < 0 {
			return 0, false
		}
		for days |= 1 << last; first != last; first = (first + 1) % 7 {
			days |= 1 << first
		}
	}
	return days, true
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func weekday(name string) int { return slices.Index(weekdays, name) }

// parseHours reads a span of a day, in minutes: 07:00-22:00, or 22:00-07:00 of the next day. Nothing is the whole day.
func parseHours(text string) (from, to int, ok bool) {
	if text == "" {
		return 0, 1440, true
	}
	first, last, _ := strings.Cut(text, "-")
	from, to = minutes(first), minutes(last)
	return from, to, from >= 0 && from < 1440 && to >= 0 && from != to
}

func minutes(text string) int {
	if text == "24:00" {
		return 1440
	}
	t, err := time.Parse("15:04", text)
	if err != nil || t.Minute()%15 != 0 {
		return -1
	}
	return t.Hour()*60 + t.Minute()
}

// members are where those of an object go: into pointers, or functions that read them. The one without a name is for all that
// have no other.
type members map[string]any

// object reads an object, and returns where its members are.
func (r *reader) object(what string, all members) (seen map[string]int) {
	seen = map[string]int{}
	if !r.opens('{', what+" is no object {...}") {
		return seen
	}
	for r.d.More() {
		at := r.next()
		token, _ := r.d.Token()
		name := token.(string)
		to, ok := all[name]
		if !ok {
			to, ok = all[""]
		}
		r.check(ok, at, "%s has no member %q, but %s", what, name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
		r.check(seen[name] == 0, at, "%q is there twice", name)
		seen[name] = at
		if read, is := to.(func(string)); is {
			read(name)
			continue
		}
		if !ok {
			to = new(json.RawMessage) // to skip it
		}
		err := r.d.Decode(to)
		kind := "a number"
		if _, is := to.(*string); is {
			kind = "a text in quotes"
		}
		r.check(err == nil, at, "%s is not %s", name, kind)
		if v, is := to.(**float64); is && *v != nil {
			to = *v
		}
		if v, is := to.(*float64); is {
			r.check(math.Abs(*v) <= 1e6, at, "%s is more than a million", name)
		}
	}
	_, _ = r.d.Token()
	return seen
}

// list calls each where an entry of a list begins.
func (r *reader) list(what string, each func(at int)) {
	if !r.opens('[', what+" is no list [...]") {
		return
	}
	for r.d.More() {
		each(r.next())
	}
	_, _ = r.d.Token()
}

// opens reports whether an object or a list follows, and begins to read it. What else follows is skipped.
func (r *reader) opens(with byte, wrong string) bool {
	at := r.next()
	if r.text[at] != with {
		r.check(false, at, "%s", wrong)
		_ = r.d.Decode(new(json.RawMessage))
		return false
	}
	_, _ = r.d.Token()
	return true
}

// next returns where the next name or value begins.
func (r *reader) next() int {
	at := int(r.d.InputOffset())
	return at + bytes.IndexFunc(r.text[at:], func(c rune) bool { return !strings.ContainsRune(" \t\r\n,:", c) })
}

func (r *reader) check(ok bool, at int, format string, args ...any) {
	if !ok {
		r.wrong = append(r.wrong, fmt.Sprintf("line %d: %s", r.line(at), fmt.Sprintf(format, args...)))
	}
}

func (r *reader) line(at int) int { return 1 + bytes.Count(r.text[:max(at, 0)], []byte("\n")) }
