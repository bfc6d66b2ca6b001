/** The one error vocabulary of rund; everyone throws it, the edges map it to ttrpc statuses. */
package io.rund.core.error;
