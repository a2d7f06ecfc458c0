package rest

import (
	"math"
	"net/http"
	"strconv"
)

// maxPage is the largest, and the default, number of models in a listing.
const maxPage = 100

type listBody struct {
	Next   string       `json:"nextPageToken,omitempty"`
	Models []listedBody `json:"models"`
}

type listedBody struct {
	Name string `json:"modelName"`
	URL  string `json:"modelUrl,omitempty"`
}

// list answers with a page of the models. A page that ends exactly at the last
// model still names a next one, as in 0.12 (MGT-058).
func (e *edge) list(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r.RequestURI)
	if err != nil {
		return err
	}
	given := &parameters{source: q}
	limit, from := given.integer("limit", maxPage), given.integer("next_page_token", 0)
	if err := e.warn(w, given); err != nil {
		return err
	}
	if limit < 0 || limit > maxPage {
		limit = maxPage
	}
	all := e.deps.Catalog.List()
	from = max(from, 0)
	end := from + limit
	page := listBody{Models: []listedBody{}}
	if end <= len(all) && end <= math.MaxInt32 {
		page.Next = strconv.Itoa(end)
	}
	for i := from; i < min(end, len(all)); i++ {
		page.Models = append(page.Models, listedBody{Name: string(all[i].Name), URL: all[i].URL})
	}
	return writeJSON(w, http.StatusOK, page)
}
