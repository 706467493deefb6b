//go:build unix

package redis

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"sunspool/internal/testservices"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// poison returns what must not be taken for the sample that good encodes to.
func poison(rng *rand.Rand, good string) string {
	insertAt := func(s, part string) string { i := rng.IntN(len(s) + 1); return s[:i] + part + s[i:] }
	pick := func(all ...string) string { return all[rng.IntN(len(all))] }
	field := pick(`"device_id":`, `"ts":`, `"pv_power_w":`, `"pv_daily_kwh":`, `"load_power_w":`, `"sample_count":`)
	switch rng.IntN(10) {
	case 0:
		b := make([]byte, rng.IntN(300))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return string(b)
	case 1:
		return good[:rng.IntN(len(good))]
	case 2:
		return insertAt(good, pick(" ", "\x00", "{", "}", ",", `"`, "\xff", "[", "\n"))
	case 3:
		return strings.Replace(good, field, strings.ToUpper(field), 1)
	case 4: // twice
		return strings.Replace(good, `{`, `{`+field+pick("1", "null", `"x"`, "{}")+`,`, 1)
	case 5:
		start := strings.Index(good, field) + len(field)
		end := start + strings.IndexAny(good[start:], ",}")
		return good[:start] + pick("NaN", "Infinity", "1e999", "1e300", "1e+300", "-10000000000000000", "true", "[]", "{}", `"0"`, "01", "+1", "1.0") + good[end:]
	case 6:
		return strings.Replace(good, `"device_id":"a"`, `"device_id":`+pick(`"b"`, `"A"`, `""`, `null`, `"a\u0000"`, `"../a"`), 1)
	case 7:
		return strings.Replace(good, "2026-07-14T12:00:00Z", pick("2199-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "2026-07-14T12:00:00", "2026-07-14 12:00:00Z", "0", "2026-07-14T14:00:00+02:00"), 1)
	case 8:
		return good + pick(good, " ", "\n", "x", "null")
	default:
		return strings.Replace(good, "}", `,"values":{"x":`+pick("1e999", "null", "{}", "1e+300", strings.Repeat("[", 5000), "0."+strings.Repeat("1", maxSample))+"}}", 1)
	}
}

// Ten thousand values that are not ours: none is ever answered, none hurts.
func TestPoisonedRedisIsAMiss(t *testing.T) {
	server := testservices.Redis(t)
	inner := &versions{}
	r := usable(t, inner, server.URL(), time.Hour)
	c := raw(t, server.URL())
	storetest.Insert(t, r, "a", 1, storetest.At(storetest.Noon, 42))
	want := storetest.Latest(t, r, "a")
	good := encoded(want)
	rng := rand.New(rand.NewPCG(1, 2))
	n := 10_000
	if testing.Short() {
		n = 1_000
	}
	for i := range n {
		value := poison(rng, good)
		if value == good {
			continue
		}
		if err := c.Do(t.Context(), c.B().Set().Key("realtime:a").Value(value).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		asked := inner.asked.Load()
		if got := storetest.Latest(t, r, "a"); show(got) != show(want) || inner.asked.Load() != asked+1 {
			t.Fatalf("value %d was believed: %q", i, value[:min(len(value), 300)])
		}
		if i%100 == 0 {
			writtenOver(t, r, c, good)
		}
	}
	for _, cmd := range []rueidis.Completed{
		c.B().Rpush().Key("realtime:a").Element("x").Build(),
		c.B().Setbit().Key("realtime:a").Offset(100 << 20).Value(1).Build(), // 12 MiB
	} {
		c.Do(t.Context(), c.B().Del().Key("realtime:a").Build())
		if err := c.Do(t.Context(), cmd).Error(); err != nil {
			t.Fatal(err)
		}
		if got := storetest.Latest(t, r, "a"); show(got) != show(want) {
			t.Errorf("%s", show(got))
		}
	}
	testservices.Await(t, "Redis is used", func() bool { return r.use.Load() != nil }) // a busy machine may have let it be late
}

// writtenOver fails if the value of Redis is not replaced by good. A Redis that does not answer in time is left alone for
// up to half a minute, so it is asked again.
func writtenOver(t *testing.T, r *Cache, c rueidis.Client, good string) {
	t.Helper()
	var now string
	for range 9000 {
		var err error
		if now, err = c.Do(t.Context(), c.B().Get().Key("realtime:a").Build()).ToString(); err == nil && now == good {
			return
		}
		time.Sleep(20 * time.Millisecond)
		storetest.Latest(t, r, "a")
	}
	t.Fatalf("it was not written over: %.300q", now)
}

func FuzzCachedSample(f *testing.F) {
	s := storetest.At(storetest.Noon, 42)
	s.DeviceID, s.Values = "a", map[string]float64{"x": 1}
	good := encoded(s)
	f.Add(good)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		f.Add(poison(rng, good))
	}
	f.Fuzz(func(t *testing.T, value string) {
		s, ok := decodeSample([]byte(value), "a", time.Now())
		if !ok {
			return
		}
		if s.DeviceID != "a" || s.Validate(time.Now()) != nil {
			t.Errorf("%+v was believed", s)
		}
		if again, err := json.Marshal(s); err != nil || string(again) != value {
			t.Errorf("%q is %q", value, again)
		}
	})
}

func encoded(s wire.Sample) string {
	text, _ := encodeSample(&s)
	return string(text)
}

func show(s wire.Sample) string {
	text, _ := json.Marshal(s)
	return string(text)
}
